"""One committed notebook, unchanged, passes whatever runs it, and hangs nowhere without answers.

By hand in JupyterLab it is tests/browser/test_by_hand.py, where a person answers in the card; the five ways without one are here.
"""

import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import nbformat
import pytest
from rebuild import NOTEBOOKS, copy_notebooks, headless_env, shown

NAME = "01_first_review"
ANSWERS = ("-p", "hitl_answers", f"answers/{NAME}.yaml")
WAYS = {
    "papermill with the engine hitl": ("papermill", f"{NAME}.ipynb", "out.ipynb", "--no-progress-bar", "--engine", "hitl"),
    "papermill": ("papermill", f"{NAME}.ipynb", "out.ipynb", "--no-progress-bar"),
    "nbval": ("pytest", "-q", "--nbval", "--nbval-current-env", "--nbval-cell-timeout=60", "-p", "no:cacheprovider", f"{NAME}.ipynb"),
    "jupyter nbconvert": ("jupyter", "nbconvert", "--to", "notebook", "--execute", "--output", "out", f"{NAME}.ipynb"),
    "jupyter execute": ("jupyter", "execute", "--output", "out.ipynb", f"{NAME}.ipynb"),
}
HANGS_S = 120
"""A run takes a few seconds; one that takes so long waits for somebody."""

pytestmark = pytest.mark.notebook


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Each way with answers and without, two at a time: the finished process, its folder and its seconds."""

    def run(case):
        way, answered = case
        folder = copy_notebooks(tmp_path_factory.mktemp("way"))
        env = headless_env(folder, NAME)
        if not answered or way.startswith("papermill"):  # which gets them as a parameter
            del env["HITL_NB_ANSWERS"]
        command = [sys.executable, "-m", *WAYS[way], *(ANSWERS if answered and way.startswith("papermill") else ())]
        began = time.monotonic()
        done = subprocess.run(command, cwd=folder, env=env, stdin=subprocess.PIPE, capture_output=True, text=True, timeout=HANGS_S, check=False)
        return done, folder, time.monotonic() - began

    cases = [(way, answered) for answered in (True, False) for way in WAYS]
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(cases, pool.map(run, cases), strict=True))


@pytest.mark.parametrize("way", WAYS)
def test_the_notebook_passes_with_answers(way, runs):
    done, folder, _ = runs[way, True]
    assert done.returncode == 0, done.stdout + done.stderr
    if way == "nbval":  # which compares the outputs itself, and writes nothing
        assert re.search(r"\d+ passed", done.stdout)
    else:
        assert shown(nbformat.read(folder / "out.ipynb", as_version=4)) == shown(nbformat.read(NOTEBOOKS / f"{NAME}.ipynb", as_version=4))
    assert (folder / f"{NAME}.ipynb").read_bytes() == (NOTEBOOKS / f"{NAME}.ipynb").read_bytes()


@pytest.mark.parametrize("way", WAYS)
def test_the_notebook_fails_at_once_without_answers_and_says_what_to_do(way, runs):
    done, _, took_s = runs[way, False]
    told = done.stdout + done.stderr
    assert done.returncode != 0, told
    assert took_s < HANGS_S / 2
    assert "MissingAnswerError" in told
    assert "HITL_NB_ANSWERS" in told
    assert "node: review" in told, "the lines to add"
    assert "--on-missing leave_open" in told, "the other way out"
