"""The driver of the other tests: it must never take a cell for executed that the kernel of its notebook has not executed."""

import pytest


def opened_behind_its_back(notebook, name, source):
    """Another notebook comes to the front, as JupyterLab may do by itself; its first cell bears the number of an earlier execution."""
    notebook.server.write(name, [source, source])
    notebook.page.evaluate(
        """async path => {
            const panel = await window.jupyterapp.commands.execute('docmanager:open', { path });
            await panel.context.ready;
            for (const cell of panel.content.model.cells) cell.executionCount = 1;
        }""",
        name,
    )
    notebook.page.wait_for_function("path => window.jupyterapp.shell.currentWidget?.context?.path === path", arg=name)


def test_a_cell_is_run_in_the_notebook_of_the_test_whatever_is_in_front(lab):
    notebook = lab(["here = 1", "print(here)"])
    opened_behind_its_back(notebook, f"{notebook.folder.name}/other.ipynb", "here = 2")
    notebook.run(0)
    notebook.run(1)
    assert notebook.output(1).inner_text().strip() == "1"


@pytest.mark.parametrize("count", [None, 1])
def test_a_number_beside_a_cell_is_not_enough(lab, count):
    notebook = lab(["1 + 1"])
    notebook.js("W.content.widgets[0].model.executionCount = arg", count)
    with pytest.raises(AssertionError, match="not asked"):
        notebook.done(0, 0.5)


def test_a_cell_that_was_aborted_or_failed_is_not_done(lab):
    notebook = lab(["1 / 0", "print('after')"])
    notebook.run_all()
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        notebook.done(0)
    with pytest.raises(AssertionError, match="'status': 'aborted'"):
        notebook.done(1)


def test_a_kernel_that_went_away_ends_the_wait_at_once(lab):
    notebook = lab(["import os\nfrom pathlib import Path\n_ = Path('pid').write_text(str(os.getpid()))", "import time\ntime.sleep(60)"])
    notebook.run(0)
    notebook.start(1)
    notebook.kill_kernel()
    with pytest.raises(AssertionError, match="autorestarting"):
        notebook.done(1, 60)
    notebook.settle()
    notebook.run(0)
