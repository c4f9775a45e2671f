"""The engine `hitl`: a clean stop at an open question, a second run that goes on, and whose answers count. Real kernels, real papermill."""

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from datetime import UTC, datetime

import nbformat
import papermill
import pytest

from hitl_nb import DiskCacheSaver
from hitl_nb.batch.run import run_notebook
from hitl_nb.batch.saving import WIDGET_VIEW
from hitl_nb.errors import AnswersFileError, StillWaitingError
from hitl_nb.waiting import record_answer, waiting

REQUEST = "application/vnd.hitl-nb.request.v1+json"
DECISION = "application/vnd.hitl-nb.decision.v1+json"
# Two questions at once, each after work that must not be done twice; `effects` counts it.
GRAPH = """
from datetime import UTC, datetime
from hitl_nb import DiskCacheSaver, END, START, StateGraph, interrupt, review

def work(state):
    with open("effects.txt", "a") as file:
        print("work", thread_id, file=file)
    return {"draft": "<script>alert(1)</script> **tea**"}

def facts(state):
    asked = {"question": "Is it \\x1b[31mtrue?", "draft": state["draft"], "options": ["yes", "no"]}
    return {"facts": interrupt(asked, deadline=datetime(2099, 1, 1, tzinfo=UTC), assignee="dana")}

def style(state):
    return {"style": interrupt({"question": "Is it nice?", "options": ["yes", "no"]})}

def publish(state):
    with open("effects.txt", "a") as file:
        print("publish", thread_id, file=file)

builder = StateGraph()
for node in (work, facts, style, publish):
    builder.add_node(node.__name__, node)
builder.add_edge(START, "work").add_edge("work", "facts").add_edge("work", "style").add_edge("facts", "publish").add_edge("style", "publish")
builder.add_edge("publish", END)
graph = builder.compile(checkpointer=DiskCacheSaver(store), name="article")
"""
REVIEW = "session = review(graph, {'topic': 1}, thread_id=thread_id, answers=hitl_answers)"
RESULT = "print({k: v for k, v in session.result().items() if k != 'draft'})"
ASK = """
from hitl_nb import MemorySaver, END, START, StateGraph, interrupt, review
graph = StateGraph().add_node("ask", lambda state: {"n": interrupt("Which?", schema=str)}).add_edge(START, "ask").add_edge("ask", END)
graph = graph.compile(checkpointer=MemorySaver())
session = review(graph, {"n": ""}, thread_id="t", answers=hitl_answers)
print(session.result()["n"], session.decisions[0].reviewer)
"""

pytestmark = pytest.mark.notebook


def printed(notebook):
    return "".join(o.text for c in notebook.cells for o in c.get("outputs", ()) if o.output_type == "stream")


def statuses(notebook):
    return [c.metadata.papermill.status for c in notebook.cells]


def timeless(notebook):
    """The text of the notebook without the times that papermill writes, and without the ids that a store gives its questions."""
    for metadata in (notebook.metadata, *(c.metadata for c in notebook.cells)):
        for name in ("start_time", "end_time", "duration"):
            del metadata.papermill[name]
    return re.sub(r"[0-9a-f]{32}", "ID", nbformat.writes(notebook))


# -- a question that is left open ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def story(tmp_path_factory, write_notebook):
    """One thread: a run that leaves a question open, the same in a fresh store, the answer from elsewhere, the run that ends. Each run as it was."""
    folder = tmp_path_factory.mktemp("story")
    path = write_notebook(folder / "article.ipynb", GRAPH, REVIEW, RESULT)
    runs, notebooks = [], []

    def run():
        runs.append(run_notebook(path, store=folder / "store", thread_id="tea", answers={"style": "yes"}, on_missing="leave_open", reviewer="sam"))
        notebooks.append(nbformat.read(runs[-1].notebook, as_version=4))

    run()
    (folder / "store").rename(folder / "first")
    run()
    saver = DiskCacheSaver(folder / "store")
    [brief] = waiting(saver, now=datetime.now(UTC))
    record_answer(saver, saver.question(brief.interrupt_id), "no", reviewer="dana", how="console", now=datetime.now(UTC))
    (folder / "effects.txt").unlink()
    run()
    return folder, runs, notebooks


def test_an_open_question_stops_the_run_cleanly(story):
    _, [first, *_], [notebook, *_] = story
    assert (first.status, first.error, first.thread_ids) == ("needs human", None, ("tea",))
    assert statuses(notebook) == ["completed", "completed", "completed", "needs human", "pending"]
    assert not any(o.output_type == "error" for c in notebook.cells for o in c.outputs)
    assert not notebook.metadata.papermill.exception
    nbformat.validate(notebook)
    with pytest.raises(StillWaitingError, match=r"hitl-nb answer [0-9a-f]{32} --store \S+, then"):
        first.raise_for_status()


def test_what_can_be_answered_is_answered_before_the_run_stops(story):
    _, [first, *_], [notebook, *_] = story
    assert [(d["node"], d["answer"], d["reviewer"], d["how"]) for d in first.decisions] == [("style", "yes", "sam", "script")]
    assert DECISION in notebook.cells[3].outputs[0].data, "its receipt"


def test_the_open_question_stands_where_the_error_was(story):
    _, [first, *_], [notebook, *_] = story
    [question] = first.questions
    drawn = notebook.cells[3].outputs[-1].data
    assert set(drawn) == {"text/html", "text/markdown", "text/plain", REQUEST}
    assert drawn[REQUEST] == {"version": 1, "questions": [question]}
    assert question["question"].startswith("Is it ")
    assert (question["thread_id"], question["node"], question["assignee"]) == ("tea", "facts", "dana")
    assert question["deadline"] == "2099-01-01T00:00:00+00:00"
    for shown in (drawn["text/html"], drawn["text/plain"]):
        assert f"hitl-nb answer {question['id']}" in shown
        assert "1 Jan 2099, 00:00 UTC" in shown
        assert "dana" in shown
    assert "<script" not in drawn["text/html"]
    assert "<script" not in drawn["text/markdown"].split("```")[0]
    assert "\x1b" not in drawn["text/plain"]
    assert first.report.read_text(encoding="utf-8").count("&lt;script&gt;alert(1)") >= 1


def test_the_record_stands_in_the_metadata_of_the_notebook(story):
    _, [first, *_], [notebook, *_] = story
    kept = notebook.metadata.hitl_nb
    assert (kept.version, kept.status, kept.thread_ids) == (1, "needs human", ["tea"])
    assert kept.questions == first.questions
    assert [d.answer for d in kept.decisions] == ["yes"]
    assert "error" not in kept


def test_two_runs_into_fresh_stores_leave_the_same_bytes(story):
    _, _, [first, second, _] = story
    assert timeless(deepcopy(first)) == timeless(deepcopy(second))


def test_a_second_run_goes_on_with_the_answer_and_does_no_work_again(story):
    folder, runs, notebooks = story
    assert (runs[2].status, runs[2].questions) == ("done", [])
    assert statuses(notebooks[2]) == ["completed"] * 5
    assert (folder / "effects.txt").read_text() == "publish tea\n", "the work of before the questions is not done again"
    assert "'style': 'yes', 'facts': 'no'" in printed(notebooks[2]) or "'facts': 'no', 'style': 'yes'" in printed(notebooks[2])


def test_a_second_run_shows_every_decision_of_the_thread(story):
    _, runs, notebooks = story
    assert [(d["node"], d["reviewer"]) for d in runs[2].decisions] == [("style", "sam"), ("facts", "dana")]
    receipts = [r for c in notebooks[2].cells for o in c.outputs for r in o.get("data", {}).get(DECISION, {}).get("decisions", ())]
    assert [(r["node"], r["answer"]) for r in receipts] == [("style", "yes"), ("facts", "no")]
    scripted, by_hand = notebooks[2].metadata.hitl_nb.decisions
    assert "decided_at" not in scripted
    assert by_hand["decided_at"].endswith("+00:00")


def test_a_store_that_is_gone_or_in_memory_is_no_error_in_a_cell(write_notebook, tmp_path):
    done = "review(graph, {'topic': 1}, thread_id='t', answers=['yes', 'yes'])"
    path = write_notebook(tmp_path / "n.ipynb", GRAPH, f"import shutil\n{done}\nshutil.rmtree(store)", "print('on')", ASK)
    run = run_notebook(path, store=tmp_path / "store", thread_id="t", on_missing="leave_open", report=False)
    notebook = nbformat.read(run.notebook, as_version=4)
    assert run.status == "needs human"
    assert printed(notebook) == "on\n"
    assert "ended with its kernel" in notebook.cells[-1].outputs[-1].data["text/plain"]


def test_a_notebook_that_leaves_questions_open_itself_stops_where_it_wants_the_result(write_notebook, tmp_path):
    both = [f"{name} = review(graph, {{'topic': 1}}, thread_id='{name}', answers=[], on_missing='leave_open')" for name in ("one", "two")]
    path = write_notebook(tmp_path / "two.ipynb", GRAPH, *both, "print('on')", "two.result()", "print('never')")
    run = run_notebook(path, store=tmp_path / "store", thread_id="x", report=False)
    notebook = nbformat.read(run.notebook, as_version=4)
    assert (run.status, run.thread_ids) == ("needs human", ("one", "two"))
    assert printed(notebook) == "on\n"
    assert statuses(notebook)[-2:] == ["needs human", "pending"]
    [drawing] = notebook.cells[-2].outputs
    assert [q["thread_id"] for q in drawing.data[REQUEST]["questions"]] == ["two", "two", "one", "one"]


# -- who tells the answers -----------------------------------------------------------------------------------------------------------------


def test_the_keyword_goes_before_the_parameter_and_many_answers_lie_in_a_file_that_is_gone(write_notebook, tmp_path, monkeypatch):
    path = write_notebook(tmp_path / "ask.ipynb", "import os\nprint(os.environ['HITL_NB_RUN'][1:])", ASK)
    monkeypatch.setenv("HITL_NB_ANSWERS", str(tmp_path / "env.yaml"))
    (tmp_path / "env.yaml").write_text("[by environment]")
    long = "é" * 200_000
    notebook = papermill.execute_notebook(
        path, None, {"hitl_answers": ["by parameter"]}, engine_name="hitl", answers=[f"by keyword {long}"], reviewer="sam", progress_bar=False
    )
    file, said = printed(notebook).split("\n", 1)
    assert said.startswith("by keyword é")
    assert said.endswith("é sam\n")
    assert not (tmp_path / file).exists()
    assert "HITL_NB_RUN" not in os.environ


def test_runs_side_by_side_in_one_process_get_their_own_answers_and_folders(write_notebook, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_notebook(tmp_path / name / "ask.ipynb", "import os\nprint(os.path.basename(os.getcwd()))", ASK)
        (tmp_path / f"{name}.yaml").write_text(f"[said {name}]")

    def run(name):
        return run_notebook(f"{name}/ask.ipynb", answers=f"{name}.yaml", reviewer=f"r{name}", executed=f"{name}/out.ipynb", report=False)

    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(run, "ab"))
    assert [r.status for r in runs] == ["done", "done"]
    assert [printed(nbformat.read(r.notebook, as_version=4)) for r in runs] == ["a\nsaid a ra\n", "b\nsaid b rb\n"]


def papermill_cli(*arguments, cwd, **env):
    environ = {k: v for k, v in os.environ.items() if not k.startswith("HITL_NB_")} | env
    command = [sys.executable, "-m", "papermill", *arguments, "--engine", "hitl", "--no-progress-bar"]
    return subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=120, check=False)


def test_papermill_takes_the_answers_as_a_parameter_before_the_environment(write_notebook, tmp_path):
    (tmp_path / "sub").mkdir()
    write_notebook(tmp_path / "ask.ipynb", ASK)
    (tmp_path / "sub" / "answers.yaml").write_text("answers: [by parameter]\n")
    (tmp_path / "env.yaml").write_text("[by environment]")
    done = papermill_cli(
        "ask.ipynb",
        "out.ipynb",
        "-p",
        "hitl_answers",
        "answers.yaml",
        "--cwd",
        "sub",
        cwd=tmp_path,
        HITL_NB_ANSWERS="env.yaml",
        HITL_NB_REVIEWER="sam",
    )
    assert done.returncode == 0, done.stderr
    assert "without encryption" not in done.stderr
    notebook = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    assert printed(notebook) == "by parameter sam\n"
    assert notebook.metadata.hitl_nb.status == "done"


def test_answers_of_the_environment_are_found_from_where_papermill_was_called_and_may_leave_open(write_notebook, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    write_notebook(tmp_path / "ask.ipynb", ASK)
    (tmp_path / "env.yaml").write_text("on_missing: leave_open\nanswers: []\n")
    monkeypatch.setenv("HITL_NB_ANSWERS", "env.yaml")
    papermill.execute_notebook("ask.ipynb", "out.ipynb", engine_name="hitl", cwd="sub", progress_bar=False)
    assert nbformat.read(tmp_path / "out.ipynb", as_version=4).metadata.hitl_nb.status == "needs human"


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"answers": "gone.yaml"}, "gone.yaml', which does not exist"),
        ({"answers": 5}, "answers= is 5"),
        ({"parameters": {"hitl_answers": "gone.yaml"}}, "the parameter hitl_answers names the answers file"),
        ({"parameters": {"hitl_answers": {"answers": 3}}}, "expected a list of entries"),
        ({"parameters": {"hitl_answers": "here.yaml"}, "cwd": "sub"}, r"which is in .*, and the notebook runs in .*sub"),
    ],
)
def test_answers_that_cannot_be_read_are_told_before_a_kernel_starts(write_notebook, tmp_path, monkeypatch, given, complaint):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "here.yaml").write_text("[x]")
    path = write_notebook(tmp_path / "ask.ipynb", ASK)
    with pytest.raises(AnswersFileError, match=complaint):
        papermill.execute_notebook(path, tmp_path / "out.ipynb", engine_name="hitl", kernel_name="python3", progress_bar=False, **given)
    assert not (tmp_path / "out.ipynb").exists()


def test_what_is_no_way_to_treat_a_question_is_refused(write_notebook, tmp_path):
    with pytest.raises(ValueError, match="on_missing is 'wait'; expected 'fail' or 'leave_open'"):
        run_notebook(write_notebook(tmp_path / "ask.ipynb", ASK), on_missing="wait")


def test_a_file_that_is_no_notebook_is_told(tmp_path):
    (tmp_path / "bad.ipynb").write_text(json.dumps({"no": "cells"}))
    with pytest.raises(Exception, match="is no notebook that can be read"):
        run_notebook(tmp_path / "bad.ipynb")


# -- what is kept --------------------------------------------------------------------------------------------------------------------------


def test_no_widget_is_kept_where_something_static_is_beside_it_and_no_state(write_notebook, tmp_path):
    path = write_notebook(tmp_path / "w.ipynb", "import ipywidgets\nipywidgets.Button(description='press')")
    notebook = papermill.execute_notebook(path, tmp_path / "out.ipynb", engine_name="hitl", progress_bar=False)
    kept = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    assert "widgets" not in kept.metadata
    assert WIDGET_VIEW not in nbformat.writes(kept)
    assert "Button" in kept.cells[-1].outputs[0].data["text/plain"]
    assert "widgets" not in notebook.metadata
    nbformat.validate(kept)
