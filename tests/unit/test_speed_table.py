"""The command that measures speed: turns, medians, goals, the table. And a small run of what needs no other system."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks import report
from tests.benchmarks.measuring import Contest, Goal, Result, Row, Setting, interleaved, measured

ROOT = Path(__file__).resolve().parents[2]


def taking(*figures):
    """A run that takes these, one after the other."""
    left = iter(figures)
    return lambda: next(left)


def result(goals, unit="ms", **figures):
    row = Row("a-row", "a thing", lambda setting: Contest({}, [], unit))
    return Result(row, Contest({}, goals, unit, {"other": "not installed"}, ["a note"]), figures, 1.0)


def test_contenders_take_turns_and_the_first_round_does_not_count():
    order = []

    def named(name, run):
        return lambda: (order.append(name), run())[1]

    figures = interleaved({"a": named("a", taking(9, 1, 2)), "b": named("b", taking(9, 3, 4))}, rounds=2)
    assert order == ["a", "b", "a", "b", "a", "b"]
    assert figures == {"a": [1, 2], "b": [3, 4]}


def test_a_ratio_is_the_median_of_the_ratios_of_each_round():
    # a machine that is busy for one round slows both down: the ratio of the medians would be 2 / 4
    (verdict,) = result([Goal("ours", "theirs", 0.3)], ours=[1.0, 2.0, 30.0], theirs=[4.0, 20.0, 100.0]).verdicts()
    assert verdict.value == 0.25
    assert verdict.holds


def test_a_goal_holds_at_the_figure_itself_and_not_above_it():
    figures = {"ours": [0.020], "theirs": [0.015]}
    at, above = Goal("ours", None, 20, "absolute"), Goal("ours", None, 19.9, "absolute")
    assert [v.holds for v in result([at, above], **figures).verdicts()] == [True, False]
    (difference,) = result([Goal("ours", "theirs", 5, "difference")], **figures).verdicts()
    assert difference.value == pytest.approx(5)
    (shown,) = result([Goal("ours", "theirs", None)], **figures).verdicts()
    assert shown.holds is None


def test_a_goal_against_somebody_who_was_not_measured_says_nothing():
    assert result([Goal("ours", "absent", 0.1)], ours=[1.0]).verdicts() == []


def test_the_table_has_each_comparison_with_its_goal_and_what_was_left_out():
    some = result([Goal("ours", "theirs", 0.3), Goal("ours", None, 1, "absolute")], ours=[0.004], theirs=[0.02])
    table = report.markdown([some], {"processor": "a machine"})
    assert "| a thing | ours / theirs | **0.200** | ≤ 0.3 | holds |" in table
    assert "|  | ours | **4.00 ms** | ≤ 1 ms | MISSED |" in table
    assert "ours 4.00 ms; theirs 20.0 ms; other: not installed; a note" in table
    assert "processor a machine." in table
    assert report.as_data([some], {})["rows"]["a-row"]["goals"][1]["holds"] is False


def test_the_table_of_a_page_is_replaced_and_the_rest_is_left(tmp_path):
    page = tmp_path / "speed.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", encoding="utf-8")
    report.put_into(page, "new")
    assert page.read_text(encoding="utf-8") == f"before\n{report.BEGIN}\nnew\n{report.END}\nafter\n"
    page.write_text("no marks", encoding="utf-8")
    with pytest.raises(SystemExit, match="has no lines"):
        report.put_into(page, "new")


def test_a_quick_run_measures_a_small_size_in_two_rounds(tmp_path):
    sizes = []

    def prepare(setting):
        sizes.append(setting.size(1000, 3))
        return Contest({"a": lambda: 1.0}, [], "µs", warm_up=5)

    assert measured(Row("r", "r", prepare, rounds=50), Setting(tmp_path, quick=True)).figures == {"a": [1.0, 1.0]}
    assert sizes == [3]


def test_the_command_measures_what_needs_no_other_system(tmp_path):
    rows = ("loop", "superstep", "round-trip", "long-thread", "array-kept", "array-changed", "open-questions", "history")
    command = [sys.executable, ROOT / "tests/benchmarks/speed.py", "--quick", "--json", tmp_path / "all.json", "--folder", tmp_path]
    subprocess.run([*command, *(f"--only={row}" for row in rows)], check=True, capture_output=True)
    told = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    assert tuple(told["rows"]) == rows
    assert told["machine"]["Python"].startswith(sys.version.split()[0])
    for row in told["rows"].values():
        assert row["medians"]
        assert all(value > 0 for value in row["medians"].values())
    assert [path.name for path in tmp_path.iterdir()] == ["all.json"]
