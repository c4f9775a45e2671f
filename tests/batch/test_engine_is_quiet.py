"""What a run under the engine prints: nothing of its own, as many runs share one terminal, or one cell of a notebook."""

import pytest

from hitl_nb.batch.run import run_notebook

BUSY_TO_THE_LAST = """
import time

kernel = get_ipython().kernel
tell = kernel.shell_handlers["kernel_info_request"]


async def tell_and_linger(stream, ident, parent):
    await tell(stream, ident, parent)
    time.sleep(1)


kernel.shell_handlers["kernel_info_request"] = tell_and_linger
"""


@pytest.mark.notebook
def test_a_kernel_that_still_tidies_up_is_not_interrupted_when_the_run_ends(write_notebook, tmp_path, capfd):
    run = run_notebook(write_notebook(tmp_path / "n.ipynb", BUSY_TO_THE_LAST), report=False)
    assert run.status == "done"
    assert capfd.readouterr() == ("", "")
