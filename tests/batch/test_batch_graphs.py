"""A graph for many cases in this process: threads, answers, a second run, what is told, and what is left behind."""

import json
import threading
from concurrent.futures import ProcessPoolExecutor

import pytest

from hitl_nb import DiskCacheSaver, MemorySaver, StateGraph, interrupt, run_batch
from hitl_nb.errors import AnswersFileError, CasesError, NoCheckpointerError


def ask(state):
    if state["amount"] < 0:
        raise ValueError(f"{state['amount']} EUR cannot be paid")
    return {"answer": interrupt({"question": f"Pay {state['amount']} EUR?", "amount": state["amount"], "options": ["yes", "no"]})}


def graph(saver):
    return StateGraph().add_node("ask", ask).set_entry_point("ask").compile(checkpointer=saver, name="payments")


def cases(*amounts):
    return [{"thread_id": f"p{amount}", "amount": amount} for amount in amounts]


YES = {"answers": [{"thread": "p?", "answer": "yes", "by": "ann"}]}


def test_each_case_is_a_run_of_its_own_and_a_failure_stops_no_other(capsys):
    result = run_batch(graph(MemorySaver()), cases(5, -1, 700), answers=YES, progress=False)
    assert [case.status for case in result.cases] == ["done", "failed", "needs human"]
    assert result["p-1"].error == "ValueError: -1 EUR cannot be paid"
    assert result["p5"].decisions[0]["answer"] == "yes"
    assert result["p700"].questions[0]["question"] == "Pay 700 EUR?"
    assert (result.source, result.store, result.exit_code, result.report) == ("payments", "in memory", 1, None)
    assert capsys.readouterr() == ("", ""), "a thousand cases would print a thousand receipts"


def test_run_again_it_goes_on_where_each_thread_stands():
    saver = MemorySaver()
    assert run_batch(graph(saver), cases(5, 700), answers=YES, progress=False).exit_code == 75
    again = run_batch(graph(saver), cases(5, 700, 6), answers={"answers": [{"thread": "p6", "answer": "no"}, *YES["answers"]]}, progress=False)
    assert [(case.status, len(case.decisions)) for case in again.cases] == [("done", 1), ("needs human", 0), ("done", 1)]
    [other] = run_batch(graph(saver), [{"thread_id": "p5", "amount": 6}], answers=YES, progress=False).cases
    assert other.status == "failed"
    assert "was started with another input" in other.error


def test_a_question_without_an_answer_fails_where_that_is_wanted():
    result = run_batch(graph(MemorySaver()), cases(700), answers=YES, on_missing="fail", progress=False)
    assert result.counts == {"failed": 1}
    assert "Add below `answers:` of answers= and run again" in result["p700"].error


def test_with_a_folder_the_batch_leaves_a_summary_a_report_and_an_inbox(tmp_path):
    saver = DiskCacheSaver(tmp_path / "reviews")
    (tmp_path / "cases.jsonl").write_text('{"thread_id": "p5", "amount": 5}\n{"thread_id": "p700", "amount": 700}\n')
    result = run_batch(graph(saver), tmp_path / "cases.jsonl", answers=YES, out=tmp_path / "out", progress=False)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["inbox.ipynb", "report.html", "summary.json"]
    told = json.loads(result.summary.read_text())
    assert (told["exit_code"], told["open_questions"], told["cases"][1]["questions"][0]["node"]) == (75, 1, "ask")
    assert 'inbox("../reviews", threads=["p700"])' in json.loads(result.inbox.read_text())["cells"][1]["source"][-1]


def test_an_inbox_notebook_that_somebody_uses_is_left_alone_until_other_questions_are_open(tmp_path):
    saver = DiskCacheSaver(tmp_path / "reviews")
    result = run_batch(graph(saver), cases(700), out=tmp_path, progress=False)
    used = json.loads(result.inbox.read_text())
    used["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["used"]}]
    result.inbox.write_text(json.dumps(used))
    run_batch(graph(saver), cases(700), out=tmp_path, progress=False)
    assert json.loads(result.inbox.read_text()) == used
    run_batch(graph(saver), cases(700, 800), out=tmp_path, progress=False)
    assert "p800" in result.inbox.read_text()


def test_the_cell_of_an_inbox_with_many_questions_stays_short(tmp_path):
    result = run_batch(graph(DiskCacheSaver(tmp_path / "reviews")), cases(*range(100, 160)), out=tmp_path, progress=False)
    source = "".join(json.loads(result.inbox.read_text())["cells"][1]["source"])
    assert max(map(len, source.splitlines())) <= 110
    assert source.count("\n") < 10
    called = []
    exec(source.partition("\n")[2], {"inbox": lambda store, *, threads: called.append((store, threads))})
    assert called == [("reviews", [f"p{n}" for n in range(100, 160)])]


def test_several_cases_run_at_once_and_each_sees_all_the_answers():
    together = threading.Barrier(4, timeout=30)

    def meet(state):
        together.wait()  # breaks unless four run at the same time
        return ask(state)

    made = StateGraph().add_node("ask", meet).set_entry_point("ask").compile(checkpointer=MemorySaver())
    result = run_batch(made, cases(1, 2, 3, 4), answers=["no"], workers=4, progress=False)
    assert [case.decisions[0]["answer"] for case in result.cases] == ["no"] * 4


def test_what_stops_the_batch_as_a_whole_stops_it_before_anything_runs(tmp_path):
    made = graph(MemorySaver())
    with pytest.raises(CasesError, match="same thread"):
        run_batch(made, [*cases(5), *cases(5)], progress=False)
    (tmp_path / "answers.yaml").write_text("answers:\n- {thread: p5, ans", encoding="utf-8")
    with pytest.raises(AnswersFileError, match=r"answers.yaml, line 3: .*was it cut short"):
        run_batch(made, cases(5), answers=tmp_path / "answers.yaml", progress=False)
    with pytest.raises(NoCheckpointerError, match="no checkpointer"):
        run_batch(graph(None), cases(5))
    with pytest.raises(TypeError, match="a graph cannot be sent to another process"), ProcessPoolExecutor(1) as pool:
        run_batch(made, cases(5), executor=pool)
    with pytest.raises(ValueError, match="expected 'fail' or 'leave_open'"):
        run_batch(made, cases(5), on_missing="ignore")
    with pytest.raises(ValueError, match="expected 1 or more"):
        run_batch(made, cases(5), workers=0)
    with pytest.raises(TypeError, match="needs out="):
        run_batch("x.ipynb", [])
    assert made.checkpointer.open_questions() == []


def test_nothing_to_do_is_done():
    result = run_batch(graph(MemorySaver()), [], progress=False)
    assert (result.headline, result.exit_code) == ("0 cases", 0)


def test_ctrl_c_keeps_what_is_done_and_starts_nothing_more(tmp_path):
    begun = []

    def stops(state):
        begun.append(state["amount"])
        if state["amount"] == 2:
            raise KeyboardInterrupt  # as Ctrl-C while the batch waits for its cases
        return {}

    made = StateGraph().add_node("stops", stops).set_entry_point("stops").compile(checkpointer=MemorySaver())
    with pytest.raises(KeyboardInterrupt):
        run_batch(made, cases(1, 2, 3, 4, 5, 6), out=tmp_path, workers=1, progress=False)
    told = json.loads((tmp_path / "summary.json").read_text())
    assert told["cases"][0]["status"] == "done"
    assert told["cases"][-1]["status"] == "not run"


def test_a_summary_that_cannot_be_written_is_told_and_what_was_decided_is_in_the_store(tmp_path):
    resource = pytest.importorskip("resource")
    saver = MemorySaver()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, hard))  # a report is longer
    try:
        result = run_batch(graph(saver), cases(5), answers=YES, out=tmp_path, progress=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (result.exit_code, result.report) == (1, None)
    assert "File too large. What the cases left behind is there, and what was decided is in the store" in result.notes[0]
    assert len(saver.decisions("p5")) == 1
    assert list(tmp_path.iterdir()) == [], "no file is half there"
