"""`hitl-nb run`: what it prints and how it ends."""

import json
import re
import shlex

import nbformat
import pytest
from click.testing import CliRunner

from hitl_nb.cli import main
from hitl_nb.cli.run import cast

PARAMETERS = "store = None\nthread_id = None\namount = 1\ntitle = ''\n"
ASK = """
from hitl_nb import DiskCacheSaver, END, START, StateGraph, interrupt, review
def ask(state):
    return {"answer": interrupt({"question": f"Pay \\x1b[7m {amount!r} for {title!r}?", "options": ["yes", "no"]}, assignee="dana")}
graph = StateGraph().add_node("ask", ask).add_edge(START, "ask").add_edge("ask", END).compile(checkpointer=DiskCacheSaver(store))
session = review(graph, {"answer": ""}, thread_id=thread_id)
"""
GIVEN = ("--store", "store", "--thread-id", "t-1", "-p", "amount", "010", "-p", "title", "true")


def run(*arguments):
    return CliRunner().invoke(main, ["run", *arguments])


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HITL_NB_STORE", raising=False)
    return tmp_path


@pytest.mark.notebook
def test_a_run_that_needs_a_person_says_what_is_open_and_a_second_one_tells_what_was_decided(here, write_notebook):
    write_notebook(here / "pay.ipynb", ASK, parameters=PARAMETERS)
    stopped = run("pay.ipynb", "out-{thread_id}-{amount}.ipynb", *GIVEN, "--on-missing", "leave_open")
    assert stopped.exit_code == 75, stopped.output
    assert nbformat.read(here / "out-t-1-10.ipynb", as_version=4).metadata.hitl_nb.status == "needs human"
    assert "10 for 'true'?  (t-1, ask, dana)" in stopped.stdout, "010 is a number, as papermill has it, and true is a text"
    assert "\x1b" not in stopped.stdout
    assert (here / "out-t-1-10.html").is_file()

    [told] = re.findall(r"hitl-nb (answer .*)", stopped.stdout)
    answered = CliRunner().invoke(main, [*shlex.split(told), "no", "--reviewer", "dana"])
    assert answered.exit_code == 0, answered.output
    done = run("pay.ipynb", *GIVEN, "--json", "--no-report")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["status"], told["thread_ids"], told["questions"], told["error"], told["report"]) == ("done", ["t-1"], [], None, None)
    assert [(d["node"], d["answer"], d["reviewer"]) for d in told["decisions"]] == [("ask", "no", "dana")]
    assert told["notebook"] == str(here / "pay.executed.ipynb")


@pytest.mark.notebook
def test_the_command_that_is_told_finds_the_store_wherever_the_notebook_keeps_it(here, write_notebook):
    (here / "deep er").mkdir()
    write_notebook(here / "deep er" / "pay.ipynb", ASK, parameters=PARAMETERS.replace("store = None", "store = 'its own'"))
    stopped = run("deep er/pay.ipynb", "--thread-id", "t", "--on-missing", "leave_open", "--no-report")
    assert stopped.exit_code == 75, stopped.output
    [told] = re.findall(r"hitl-nb (answer .*)", stopped.stdout)
    assert told.endswith("--store 'deep er/its own'")
    answered = CliRunner().invoke(main, [*shlex.split(told), "no", "--reviewer", "dana"])
    assert answered.exit_code == 0, answered.output


@pytest.mark.notebook
def test_a_run_that_fails_says_where_and_ends_with_1(here, write_notebook):
    write_notebook(here / "pay.ipynb", "raise ValueError('no \\x1b[2J money')", parameters=PARAMETERS)
    failed = run("pay.ipynb", "--no-report")
    assert failed.exit_code == 1
    assert "failed: pay.executed.ipynb, cell 2: ValueError: no" in failed.stderr
    assert "\x1b" not in failed.output


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["gone.ipynb"], 2, "'gone.ipynb' does not exist"),
        (["pay.ipynb", "--answers", "gone.yaml"], 2, "'gone.yaml' does not exist"),
        (["pay.ipynb", "o-{thread_id}.ipynb"], 2, "'thread_id' is none of the parameters that were given: none"),
        (["pay.ipynb", "--on-missing", "wait"], 2, "'wait' is not one of 'fail', 'leave_open'"),
        (["pay.ipynb", "--answers", "bad.yaml"], 1, "was it cut short?"),
        (["pay.ipynb", "--answers", "cut.yaml"], 1, "expected UTF-8"),
        (["bad.ipynb"], 1, "is no notebook that can be read"),
        (["pay.ipynb", "in/bad.yaml/out.ipynb"], 1, "File exists"),
    ],
)
def test_what_cannot_be_run_is_told_before_a_kernel_starts(arguments, code, complaint, here, write_notebook):
    write_notebook(here / "pay.ipynb", ASK, parameters=PARAMETERS)
    (here / "bad.yaml").write_text("answers: [")
    (here / "bad.ipynb").write_text("{")
    (here / "cut.yaml").write_bytes("[ü]".encode("utf-16"))
    (here / "in").mkdir()
    (here / "in" / "bad.yaml").touch()
    done = run(*arguments)
    assert done.exit_code == code, done.output
    assert complaint.lower() in done.output.lower()
    assert not (here / "pay.executed.ipynb").exists()


@pytest.mark.parametrize(
    ("text", "value"),
    [("True", True), ("False", False), ("None", None), ("010", 10), ("1e3", 1000.0), ("-2.5", -2.5), ("true", "true"), ("2026-01-01", "2026-01-01")],
)
def test_a_parameter_is_read_as_papermill_reads_it(text, value):
    from papermill.cli import _resolve_type

    assert (cast(text), type(cast(text))) == (value, type(value)) == (_resolve_type(text), type(_resolve_type(text)))
