"""The committed notebook that tests/notebooks/test_six_ways.py runs headless, unchanged, with a person who answers in JupyterLab."""

from pathlib import Path

import nbformat

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "01_first_review.ipynb"


def test_a_notebook_that_runs_headless_runs_by_hand(lab):
    notebook = lab(nbformat.read(NOTEBOOK, as_version=4).cells)
    notebook.run_all()
    notebook.button("Approve").click()
    notebook.done(23)
    assert "finalized after 0 revision(s)" in notebook.output(15).inner_text()
    assert "how: card" in notebook.output(17).inner_text()
