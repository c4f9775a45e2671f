"""The command line: the demo from the outside, and what it says when something is missing."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner

from hitl_nb.cli import main, notebooks
from hitl_nb.cli.common import LEFT_OPEN
from hitl_nb.cli.demo import decision_table

LOADS = re.compile(r"<(script|link|iframe|img)\b[^>]*(https?:)?//|@import|url\(\s*[\"']?(https?:)?//", re.IGNORECASE)


def run(*arguments, cwd, **options):
    return subprocess.run(
        [sys.executable, "-m", "hitl_nb.cli", *arguments], cwd=cwd, capture_output=True, text=True, timeout=240, check=False, **options
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    return folder, run("demo", "--out", "films", cwd=folder, stdin=subprocess.DEVNULL)


@pytest.mark.notebook
def test_the_demo_ends_with_a_table_of_the_decisions_and_the_command_that_opens_it(demo):
    _, done = demo
    assert done.returncode == 0, done.stderr
    assert re.search(r"^node +question +answer +who$", done.stdout, re.MULTILINE)
    assert len(re.findall(r"^ask  .*  film\.editor$", done.stdout, re.MULTILINE)) == 13
    assert re.search(r"hitl-nb lab films/02_clean_real_data\.executed\.ipynb$", done.stdout.strip())


@pytest.mark.notebook
def test_the_demo_shows_its_progress(demo):
    _, done = demo
    assert "100%" in done.stderr
    assert "TCP" not in done.stderr, "the kernel's remark about its port is kept out"


@pytest.mark.notebook
def test_every_path_that_the_demo_prints_is_there(demo):
    folder, done = demo
    printed = re.findall(r"films/\S+", done.stdout)
    assert len(printed) >= 6
    assert [p for p in printed if not (folder / p).is_file()] == []


@pytest.mark.notebook
def test_the_cleaned_table_differs_where_somebody_decided_and_nowhere_else(demo):
    folder, _ = demo

    def cells(path):
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.reader(file))

    before, after = cells(folder / "films/data/films.csv"), cells(folder / "films/cleaned/films.csv")
    changed = {(r - 1, before[0][c]): new for r, row in enumerate(after) for c, new in enumerate(row) if new != before[r][c]}
    assert len(changed) == 54, "23 titles, 30 dates, 1 name"
    assert changed[9, "Release Date"] == "Dec 31 1946"
    assert changed[3053, "Title"] == "Unknown"
    assert (2920, "Production Budget") not in changed, "rejected: Tarnation did cost 218 dollars"


@pytest.mark.notebook
def test_the_decision_log_names_question_answer_and_reviewer(demo):
    folder, _ = demo
    log = json.loads((folder / "films/cleaned/decisions.json").read_text(encoding="utf-8"))
    assert len(log) == 13
    assert {entry["by"] for entry in log} == {"film.editor"}
    assert log[8]["answer"]["edited_text"] == "Unknown"
    record = nbformat.read(folder / "films/02_clean_real_data.executed.ipynb", as_version=4).metadata.hitl_nb
    assert [d["question"] for d in record.decisions] == [entry["question"]["question"] for entry in log]


@pytest.mark.notebook
def test_the_report_of_the_demo_is_readable_offline(demo):
    folder, _ = demo
    report = (folder / "films/02_clean_real_data.executed.html").read_text(encoding="utf-8")
    assert "Made for IMAX cinemas" in report
    assert "<script" not in report
    assert not LOADS.search(report)


@pytest.mark.notebook
def test_a_second_demo_in_the_same_folder_asks_nothing_again(demo):
    folder, first = demo
    log = (folder / "films/cleaned/decisions.json").read_text(encoding="utf-8")
    again = run("demo", "--out", "films", cwd=folder, stdin=subprocess.DEVNULL)
    assert again.returncode == 0, again.stderr
    assert again.stdout == first.stdout
    assert (folder / "films/cleaned/decisions.json").read_text(encoding="utf-8") == log


@pytest.mark.notebook
def test_a_question_without_an_answer_ends_the_demo_with_75_and_the_lines_to_add(tmp_path):
    answers = tmp_path / "films" / "answers" / "02_clean_real_data.yaml"
    answers.parent.mkdir(parents=True)
    answers.write_text("answers: []\n", encoding="utf-8")
    done = run("demo", "--out", "films", cwd=tmp_path, stdin=subprocess.DEVNULL)
    assert done.returncode == LEFT_OPEN == 75
    assert "Duel in the Sun: correct the release date?" in done.stderr
    assert "answers:" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(notebooks.importlib.util, "find_spec", lambda name: None)
    for command, extra in (("demo", "demo"), ("lab", "lab")):
        result = CliRunner().invoke(main, [command])
        assert result.exit_code == 2
        assert f'python -m pip install "hitl-nb[{extra}]"' in result.output


@pytest.mark.parametrize(
    ("arguments", "started"),
    [
        ([], ["notebooks"]),
        (["--no-browser"], ["notebooks", "--no-browser"]),
        (["my.ipynb", "--port", "8890"], ["my.ipynb", "--port", "8890"]),
    ],
)
def test_lab_starts_on_the_notebooks_or_on_the_path_and_hands_options_on(monkeypatch, tmp_path, arguments, started):
    monkeypatch.chdir(tmp_path)
    Path("my.ipynb").touch()
    calls = []
    monkeypatch.setattr(subprocess, "call", lambda command: calls.append(command) or 7)
    result = CliRunner().invoke(main, ["lab", *arguments])
    assert result.exit_code == 7, "JupyterLab's own exit code"
    [[python, _, module, first, *rest]] = calls
    assert (python, module) == (sys.executable, "jupyterlab")
    assert [Path(first).name, *rest] == started


def test_lab_refuses_a_notebook_that_is_not_there_and_says_where_it_looked(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(subprocess, "call", lambda command: pytest.fail("JupyterLab was started"))
    result = CliRunner().invoke(main, ["lab", "nothere.ipynb", "--no-browser"])
    assert result.exit_code == 2
    assert "nothere.ipynb is not there" in result.output


def test_an_installed_package_copies_its_notebooks_and_keeps_what_was_edited(monkeypatch, tmp_path):
    packaged = tmp_path / "site-packages" / "hitl_nb"
    notebooks.copy_notebooks(packaged / "notebooks")
    monkeypatch.setattr(notebooks, "PACKAGE", packaged)
    monkeypatch.setattr(subprocess, "call", lambda command: 0)
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert CliRunner().invoke(main, ["lab"]).exit_code == 0
        mine = tmp_path / "hitl-nb-notebooks"
        assert (mine / "data" / "films.csv").is_file()
        assert (mine / "02_clean_real_data.ipynb").read_text(encoding="utf-8") != "edited" or _ == 1
        (mine / "02_clean_real_data.ipynb").write_text("edited", encoding="utf-8")
    assert (mine / "02_clean_real_data.ipynb").read_text(encoding="utf-8") == "edited"


def test_the_table_is_one_line_a_decision_whatever_a_text_holds():
    nasty = "line one\nline two \x1b[31mred " + "x" * 100
    table = decision_table([{"node": "n", "question": nasty, "answer": {"action": "edit", "edited_text": nasty}, "reviewer": "r"}])
    assert len(table.splitlines()) == 3
    assert "\x1b" not in table
    assert max(map(len, table.splitlines())) <= 170


def test_version_and_help_say_what_there_is():
    assert re.fullmatch(r"hitl-nb \d+\.\d+\.\d+\n", CliRunner().invoke(main, ["--version"]).output)
    for command in ("demo", "lab"):
        assert "Exit codes:" in CliRunner().invoke(main, [command, "--help"]).output
