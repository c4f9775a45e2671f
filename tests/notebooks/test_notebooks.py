"""The committed notebooks are what they claim: executed, the same each time, and running three ways unchanged."""

import os
import re
import subprocess
import sys
import time

import nbformat
import pytest
from rebuild import NAMES, NOTEBOOKS, copy_notebooks, headless_env, rebuilt, shown

SEVERAL_RUNS = ("10_scripted_answers", "12_batch_and_inbox")
"""Those that run notebooks themselves. Each of their runs is three to five, so here they run once, under nbval, the strictest of all."""
ONE_RUN = tuple(name for name in NAMES if name not in SEVERAL_RUNS)
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
CELL_LINES = 12


def read(name):
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


def code_cells(notebook):
    return [c for c in notebook.cells if c.cell_type == "code"]


def not_executed(notebook):
    """The code cells that look as if their outputs had been cleared: no execution count, or nothing shown where the code shows something."""
    shows = re.compile(r"^(print\(|.*\breview\(graph|films\.loc|pd\.crosstab)", re.MULTILINE)
    return [c.source for c in code_cells(notebook) if c.execution_count is None or (shows.search(c.source) and not c.outputs)]


@pytest.fixture
def folder(tmp_path):
    return copy_notebooks(tmp_path)


def run(*command, folder, name=None, **extra):
    """A finished command in the folder, with the committed answers of `name`, or without any."""
    env = headless_env(folder, name) if name else {k: v for k, v in os.environ.items() if k != "HITL_NB_ANSWERS"}
    return subprocess.run([sys.executable, "-m", *command], cwd=folder, env=env | extra, capture_output=True, text=True, timeout=240, check=False)


# -- as they are committed ---------------------------------------------------------------------------------------------------------------


def test_every_notebook_is_rebuilt_and_has_an_answers_file():
    assert {f.stem for f in NOTEBOOKS.glob("*.ipynb")} == set(NAMES)
    assert {f.stem for f in (NOTEBOOKS / "answers").glob("*.yaml")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_outputs_are_committed(name):
    assert not_executed(read(name)) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_with_cleared_outputs_is_refused(name):
    cleared = read(name)
    for cell in code_cells(cleared):
        cell.outputs = []
    assert not_executed(cleared)
    uncounted = read(name)
    for cell in code_cells(uncounted):
        cell.execution_count = None
    assert len(not_executed(uncounted)) == len(code_cells(uncounted))


@pytest.mark.parametrize("name", NAMES)
def test_headings_ask_what_the_reader_asks_and_cells_are_short(name):
    notebook = read(name)
    headings = [line for c in notebook.cells if c.cell_type == "markdown" for line in c.source.splitlines() if line.startswith("#")]
    assert [h for h in headings if not h.endswith("?")] == []
    assert [c.source for c in code_cells(notebook) if len([line for line in c.source.splitlines() if line.strip()]) > CELL_LINES] == []
    assert [c.metadata.get("tags") for c in code_cells(notebook)].count(["parameters"]) == 1


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_the_machine_or_of_the_moment_is_in_the_file(name):
    text = (NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8")
    assert WIDGET_VIEW not in text
    assert read(name).metadata == {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    outputs = "\n".join(str(o) for c in code_cells(read(name)) for o in c.outputs)
    for sign in (r"/home/|/root|/tmp|/Users|[A-Z]:\\\\", r"\d\d:\d\d:\d\d", r"0x[0-9a-f]{6}", r"[0-9a-f]{32}"):
        assert not re.search(sign, outputs), re.search(sign, outputs)


# -- three ways --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.notebook
@pytest.mark.parametrize("name", ONE_RUN)
def test_executing_again_writes_the_same_bytes_and_nbconvert_runs_it_once_more_over_what_that_left(name, folder):
    assert rebuilt(folder, name) == (NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8")
    done = run("jupyter", "nbconvert", "--to", "notebook", "--execute", "--output", "out", f"{name}.ipynb", folder=folder, name=name)
    assert done.returncode == 0, done.stderr
    assert not_executed(nbformat.read(folder / "out.ipynb", as_version=4)) == []


@pytest.mark.notebook
@pytest.mark.parametrize("name", NAMES)
def test_nbval_finds_the_committed_outputs(name, folder):
    done = run(
        "pytest",
        "-q",
        "--nbval",
        "--nbval-current-env",
        "--nbval-cell-timeout=120",
        "-p",
        "no:cacheprovider",
        f"{name}.ipynb",
        folder=folder,
        name=name,
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"\d+ passed", done.stdout)


@pytest.mark.notebook
def test_nbval_notices_another_decision(folder):
    file = folder / "answers" / "02_clean_real_data.yaml"
    file.write_text(
        file.read_text(encoding="utf-8").replace("edited_text: Unknown", "edited_text: Anonymous").replace("{action: reject,", "{action: accept,"),
        encoding="utf-8",
    )
    name = "02_clean_real_data"
    done = run("pytest", "-q", "--nbval", "--nbval-current-env", "-p", "no:cacheprovider", f"{name}.ipynb", folder=folder, name=name)
    assert done.returncode == 1, done.stdout


@pytest.mark.notebook
@pytest.mark.parametrize("name", ONE_RUN)
def test_papermill_runs_it_with_the_answers_as_a_parameter(name, folder):
    done = run(
        "papermill",
        f"{name}.ipynb",
        "out.ipynb",
        "-p",
        "hitl_answers",
        f"answers/{name}.yaml",
        "-p",
        "store",
        "fresh",
        "--no-progress-bar",
        folder=folder,
    )
    assert done.returncode == 0, done.stderr
    executed = nbformat.read(folder / "out.ipynb", as_version=4)
    assert (folder / "fresh").is_dir(), "the store is where the parameter said"
    assert shown(executed) == shown(read(name))


@pytest.mark.notebook
@pytest.mark.parametrize(
    ("name", "question"),
    [
        ("01_first_review", "review"),
        ("02_clean_real_data", "Duel in the Sun: correct the release date?"),
        ("03_choose_route_and_loop", "Which films shall we show?"),
        ("04_parallel_and_subgraphs", "(no title): correct the title?"),
        ("05_change_your_mind", "Tarnation: correct the production budget?"),
        ("06_deadlines_and_escalation", "Contract review"),
        ("07_forms_from_schemas", "What does the catalogue say about this film?"),
        ("08_review_a_table", "Do these films belong in the ranking?"),
        ("09_your_own_renderer", "From how many votes on does a rating count?"),
        ("11_record_and_replay", "(no title): correct the title?"),
        ("13_who_decided_what", "Refund 640 euros to Ada Lane?"),
    ],
)
def test_papermill_without_answers_fails_at_once_with_the_question_and_the_lines_to_add(name, question, folder):
    started = time.monotonic()
    done = run("papermill", f"{name}.ipynb", "out.ipynb", "--no-progress-bar", folder=folder)
    assert done.returncode == 1
    assert time.monotonic() - started < 60, "it does not wait for anybody"
    assert "MissingAnswerError" in done.stderr
    assert question in done.stderr
    assert re.search(r"^answers:\n  - node: ", done.stderr, re.MULTILINE)


@pytest.mark.notebook
def test_a_run_that_stopped_half_way_goes_on_with_the_rest_of_the_answers(folder):
    name = "02_clean_real_data"
    complete = (folder / "answers" / f"{name}.yaml").read_text(encoding="utf-8")
    (folder / "half.yaml").write_text(complete[: complete.index("  # The Barbarians")], encoding="utf-8")
    papermill = ("papermill", f"{name}.ipynb", "out.ipynb", "--no-progress-bar", "-p", "store", "s", "-p", "hitl_answers")
    stopped = run(*papermill, "half.yaml", folder=folder)
    assert stopped.returncode == 1
    assert "Barbarians, The: correct the title?" in stopped.stderr
    assert not (folder / "cleaned").exists()
    finished = run(*papermill, f"answers/{name}.yaml", folder=folder)
    assert finished.returncode == 0, finished.stderr
    assert "Unknown" in (folder / "cleaned" / "films.csv").read_text(encoding="utf-8")
