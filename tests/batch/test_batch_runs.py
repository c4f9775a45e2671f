"""A batch of real notebooks: each way that a case can end, what is left of it, and what a second run does."""

import json
import re

import pytest
from click.testing import CliRunner
from refunds import refunds

from hitl_nb import run_batch
from hitl_nb.checkpoint.disk import DiskCacheSaver
from hitl_nb.checkpoint.records import utc_now
from hitl_nb.cli import main
from hitl_nb.errors import OutputError, StoreError
from hitl_nb.waiting import record_answer

pytestmark = pytest.mark.notebook

FAULTS = {"hangs": "timed out", "raises": "failed", "dies": "kernel died", "kills its batch process": "failed"}
LOADS = re.compile(r"<(script|link|iframe|img|video|audio|source|object|embed)\b|@import|url\(|https?://", re.IGNORECASE)


class Batch:
    """One folder with a notebook, its cases, and what its runs come to."""

    def __init__(self, folder):
        self.folder, self.out, self.effects = folder, folder / "out", folder / "effects.log"
        self.notebook = refunds(folder / "refunds.ipynb")

    def case(self, name, amount, **more):
        return {"thread_id": name, "amount": amount, "effects": str(self.effects), **more}

    def run(self, cases, answers=None, **options):
        return run_batch(self.notebook, cases, out=self.out, answers=answers, workers=2, progress=False, **options)


ANSWERS = {"answers": [{"thread": "small-*", "answer": "approve", "by": "ann"}, {"thread": "nobody", "answer": "approve"}]}


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    return Batch(tmp_path_factory.mktemp("batch"))


@pytest.fixture(scope="module")
def night(batch):
    """The result of a night with every way to end in it."""
    hanging, *others = (batch.case(fault, 7, fault=fault) for fault in FAULTS)
    return batch.run([hanging, batch.case("small-1", 5), batch.case("../../Large", 900), *others], ANSWERS, cell_timeout_s=12)


def test_each_way_to_end_is_told_apart_and_none_stops_the_others(night):
    assert {case.thread_id: case.status for case in night.cases} == {"small-1": "done", "../../Large": "needs human", **FAULTS}
    assert night.exit_code == 1
    assert night.headline == "6 cases: 1 done, 1 needs a human, 2 failed, 1 kernel died, 1 timed out"
    assert "KeyError: 'no such customer'" in night["raises"].error
    assert "was killed before it could say how it ended" in night["kills its batch process"].error
    assert night["small-1"].error == night["../../Large"].error == ""


def test_what_was_decided_and_what_is_open_is_told_from_the_store(night):
    [decision] = night["small-1"].decisions
    assert (decision["question"], decision["answer"], decision["reviewer"], decision["how"]) == ("Refund 5 EUR?", "approve", "ann", "script")
    [question] = night["../../Large"].questions
    assert (question["node"], question["question"], question["graph"]) == ("approve", "Refund 900 EUR?", "refunds")
    assert 'thread: "../../Large"' in question["yaml"]


def test_an_id_that_looks_like_a_path_stays_in_the_folder(batch, night):
    there = {p.relative_to(batch.folder).parts[0] for p in batch.folder.rglob("*")}
    assert there == {"refunds.ipynb", "effects.log", "out"}
    assert all(case.notebook.parent == batch.out / "cases" for case in night.cases)


def test_the_report_and_the_summary_tell_the_same_and_load_nothing(batch, night):
    page = night.report.read_text(encoding="utf-8")
    assert not LOADS.search(page)
    links = re.findall(r'href="([^"]+)"', page)
    assert "inbox.ipynb" in links
    assert all((batch.out / link).is_file() for link in links)
    told = json.loads(night.summary.read_text(encoding="utf-8"))
    assert told == json.loads(json.dumps(night.plain()))
    assert told["counts"] == {"done": 1, "needs human": 1, "failed": 2, "kernel died": 1, "timed out": 1}
    assert told["cases"][1]["notebook"] == "cases/small-1.ipynb"


def test_the_inbox_notebook_asks_for_what_is_open_and_nothing_else(night):
    cells = json.loads(night.inbox.read_text(encoding="utf-8"))["cells"]
    assert "".join(cells[1]["source"]) == 'from hitl_nb import inbox\n\ninbox("reviews", threads=["../../Large"])'


def test_the_command_prints_each_case_and_how_to_answer_what_is_open(batch, night, monkeypatch):
    cases = [batch.case("small-1", 5), batch.case("../../Large", 900)]
    (batch.out / "cases.json").write_text(json.dumps(cases), encoding="utf-8")
    monkeypatch.chdir(batch.folder)
    called = ["batch", "refunds.ipynb", "--cases", "out/cases.json", "--out", "out"]
    told = CliRunner().invoke(main, called)
    assert told.exit_code == 75, told.output
    lines = [" ".join(line.split()) for line in told.stdout.splitlines()]
    assert lines[0] == "case status time what"
    assert re.fullmatch(r"small-1 done [\d.]+ s approve", lines[2])
    assert re.fullmatch(r"\.\./\.\./Large needs human [\d.]+ s Refund 900 EUR\?", lines[3])
    assert "2 cases: 1 done, 1 needs a human" in lines
    assert f"hitl-nb answer --interactive --store {batch.out / 'reviews'}" in lines
    assert json.loads(CliRunner().invoke(main, [*called, "--json"]).stdout)["counts"] == {"done": 1, "needs human": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [("thread_id,amount\nsmall-1,five\n", "line 2: amount is 'five'; expected a number"), ("amount\n5\n", "has no 'thread_id'")],
)
def test_the_command_ends_with_the_line_of_a_case_that_cannot_be_run(batch, tmp_path, content, message):
    (tmp_path / "cases.csv").write_text(content, encoding="utf-8")
    told = CliRunner().invoke(main, ["batch", str(batch.notebook), "--cases", str(tmp_path / "cases.csv"), "--out", str(tmp_path / "out")])
    assert (told.exit_code, message in told.stderr) == (1, True), told.output
    assert not (tmp_path / "out" / "cases").exists()


def test_run_again_it_goes_on_only_where_somebody_answered(batch, night):
    before = night["../../Large"].notebook.read_bytes()
    cases = [batch.case("small-1", 5), batch.case("../../Large", 900)]
    again = batch.run(cases, ANSWERS)
    assert [(case.status, case.ran) for case in again.cases] == [("done", False), ("needs human", False)]
    assert again.exit_code == 75
    assert night["../../Large"].notebook.read_bytes() == before

    saver = DiskCacheSaver(batch.out / "reviews")
    [opened] = saver.open_questions()
    record_answer(saver, saver.question(opened.interrupt_id), "reject", reviewer="cleo", how="inbox", now=utc_now())
    finished = batch.run(cases, ANSWERS)
    assert [(case.status, case.ran) for case in finished.cases] == [("done", False), ("done", True)]
    assert [(d["answer"], d["reviewer"], d["how"]) for d in finished["../../Large"].decisions] == [("reject", "cleo", "inbox")]
    assert (finished.exit_code, finished.inbox) == (0, None)
    assert sorted(batch.effects.read_text().splitlines()) == sorted(
        ["small-1 reserve", "small-1 pay", "../../Large reserve", "../../Large release"]
    ), "no node ran twice"
    assert finished.notes == (
        "Not asked for by any case: answers=, entry 2 fits no question of the store; it may be for a question that is yet to come",
    )
    assert batch.run(cases, {**ANSWERS, "on_unused": "fail"}).exit_code == 1
    assert batch.run(cases, {**ANSWERS, "on_unused": "ignore"}).notes == ()


def test_a_case_that_was_changed_since_it_was_done_is_not_run_on_top(batch, night):
    changed = batch.run([batch.case("small-1", 6)])
    assert (changed["small-1"].status, changed["small-1"].ran, changed.exit_code) == ("failed", False, 1)
    assert "amount was 5 and is 6 now. Nothing was run" in changed["small-1"].error
    assert "cases/small-1.ipynb: what was decided is in the store, and stays" in changed["small-1"].error


def test_a_folder_or_a_store_that_cannot_be_written_is_told_before_anything_runs(batch, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match=r"cannot leave anything in .*file/out.*Nothing was run; name another folder"):
        run_batch(batch.notebook, [batch.case("a", 1)], out=tmp_path / "file" / "out")
    with pytest.raises(OutputError, match=r"cannot leave anything in .*file: .*--store"):
        run_batch(batch.notebook, [batch.case("a", 1)], out=tmp_path / "out", store=tmp_path / "file")
    with pytest.raises(StoreError, match="holds other files"):
        run_batch(batch.notebook, [batch.case("a", 1)], out=tmp_path / "out", store=tmp_path)
