"""One notebook through papermill: what is written, what a failure says, and that the report needs no network."""

import pickle
import re

import nbformat
import pytest

from hitl_nb.batch.report import write_report
from hitl_nb.batch.run import run_notebook
from hitl_nb.batch.saving import WIDGET_VIEW
from hitl_nb.errors import NotebookFailedError

GRAPH = """
from hitl_nb import DiskCacheSaver, END, START, StateGraph, interrupt, review

def ask(state):
    return {"answer": interrupt({"question": "Ship it, <b>really</b>?", "options": ["yes", "no"]})}

builder = StateGraph().add_node("ask", ask).add_edge(START, "ask").add_edge("ask", END)
graph = builder.compile(checkpointer=DiskCacheSaver(store))
"""
ASK = "session = review(graph, {'topic': 1}, thread_id=thread_id, answers=hitl_answers)\nprint('answer:', session.result()['answer'])"
LOADS = re.compile(r"<(script|link|iframe|img|video|audio|source|object|embed)\b[^>]*(https?:)?//|@import|url\(\s*[\"']?(https?:)?//", re.IGNORECASE)

pytestmark = pytest.mark.notebook


@pytest.fixture
def run(tmp_path, write_notebook):
    """Runs cells as a notebook in a folder of its own; the same store each time."""

    def run(*cells, **options):
        path = write_notebook(tmp_path / "asking.ipynb", *cells)
        return run_notebook(path, executed=tmp_path / "out" / "asking.ipynb", store=tmp_path / "reviews", thread_id="t", **options)

    return run


def test_the_executed_notebook_holds_the_record_of_its_decisions(run):
    done = run(GRAPH, ASK, answers=["yes"])
    executed = nbformat.read(done.notebook, as_version=4)
    assert executed.cells[-1].outputs[-1].text == "answer: yes\n"
    [decision] = done.decisions
    kept = executed.metadata.hitl_nb
    assert (kept.version, kept.status, kept.thread_ids, kept.questions) == (1, "done", ["t"], [])
    assert kept.decisions == [{k: v for k, v in decision.items() if k not in ("decided_at", "interrupt_id")}]
    assert (decision["node"], decision["question"], decision["answer"], decision["how"]) == ("ask", "Ship it, <b>really</b>?", "yes", "script")
    assert decision["decided_at"].endswith("+00:00")


def test_the_report_shows_the_receipt_and_loads_nothing(run):
    report = run(GRAPH, ASK, answers=["yes"]).report.read_text(encoding="utf-8")
    assert "Ship it, &lt;b&gt;really&lt;/b&gt;?" in report
    assert "Ship it, <b>really</b>?" not in report
    assert "<script" not in report
    assert not LOADS.search(report)


def test_a_second_run_of_the_same_thread_asks_nothing_again(run):
    first = run(GRAPH, ASK, answers=["yes"])
    again = run(GRAPH, ASK, answers=["no"])
    assert again.decisions == first.decisions
    assert nbformat.read(again.notebook, as_version=4).cells[-1].outputs[-1].text == "answer: yes\n"


def test_answers_may_be_a_file_beside_nothing_else(run, tmp_path):
    (tmp_path / "answers.yaml").write_text("ask: 'no'\n", encoding="utf-8")
    assert run(GRAPH, ASK, answers=tmp_path / "answers.yaml").decisions[0]["answer"] == "no"


def test_an_unanswered_question_fails_with_the_question_and_the_lines_to_add(run, tmp_path):
    stopped = run(GRAPH, ASK, answers=[])
    with pytest.raises(NotebookFailedError, match=r"asking\.ipynb, cell \d+: MissingAnswerError") as failed:
        stopped.raise_for_status()
    assert failed.value.error == "MissingAnswerError"
    assert "really" in str(failed.value)
    assert "Add at the end of answers= and run again" in str(failed.value)
    assert '- "yes"' in str(failed.value)
    assert failed.value.notebook == tmp_path / "out" / "asking.ipynb"
    assert failed.value.notebook.is_file(), "the notebook shows where it stopped"
    assert str(pickle.loads(pickle.dumps(failed.value))) == str(failed.value)


def test_an_exception_of_a_cell_is_named_with_its_cell(run):
    failed = run("1 / 0")
    assert failed.status == "failed"
    assert (failed.error.kind, failed.error.message, failed.error.cell) == ("ZeroDivisionError", "division by zero", 3)


def test_what_only_a_live_kernel_can_draw_is_dropped(run):
    cell = f"from IPython.display import display\ndisplay({{{WIDGET_VIEW!r}: {{'model_id': 'x'}}, 'text/plain': 'kept'}}, raw=True)"
    executed = nbformat.read(run(cell).notebook, as_version=4)
    assert executed.cells[-1].outputs[0].data == {"text/plain": "kept"}
    assert "widgets" not in executed.metadata


def test_a_report_keeps_scripts_and_remote_files_of_other_outputs_out(tmp_path):
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A title\n$x^2$"), nbformat.v4.new_code_cell("f()")])
    made.cells[1].outputs = [nbformat.v4.new_output("display_data", data={"application/javascript": "alert(1)", "text/plain": "plain"})]
    made.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}, "version_major": 2, "version_minor": 0}}
    report = write_report(made, tmp_path / "r.html").read_text(encoding="utf-8")
    assert "A title" in report
    assert "<script" not in report
    assert not LOADS.search(report)
