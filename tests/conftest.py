"""Marks by folder, and the order of the tests: those in a browser come last, long ones only when they are asked for. Tests as an ordinary user."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent
LONGEST_FIRST = ("browser", "notebooks", "property", "crash", "batch", "kernel")
"""The folders as two processes take them. The many short tests come last, so that both end at the same time."""
NOBODY = 65534


@pytest.fixture(scope="session")
def _loaded(tmp_path_factory):
    """What a store loads while it works. An ordinary user may not be allowed to read where the administrator's Python lies."""
    if hasattr(os, "geteuid"):
        import resource  # noqa: F401

        from tests.crash.whole_store import make, read

        folder = tmp_path_factory.mktemp("loaded") / "store"
        make(folder)
        read(folder)


@pytest.fixture
def ordinary_folder(_loaded):
    """A folder of an ordinary user's, as whom the test runs: the administrator may write anywhere."""
    if not hasattr(os, "geteuid"):
        pytest.skip("permissions as Unix has them")
    folder = Path(tempfile.mkdtemp(prefix="hitl-nb-"))
    is_root = os.geteuid() == 0
    if is_root:
        os.chown(folder, NOBODY, NOBODY)
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
    try:
        yield folder
    finally:
        if is_root:
            os.seteuid(0)
            os.setegid(0)
        for place, _, _ in os.walk(folder):
            Path(place).chmod(0o700)
        shutil.rmtree(folder)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """What shares fixtures stays together: the tests of a file, and all that need the one JupyterLab and the one browser."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            return "browser" if file.startswith("tests/browser/") else file

    config.option.loadscopereorder = False
    return Scheduling(config, log)


def pytest_configure(config):
    os.environ.pop("UV_RUN_RECURSION_DEPTH", None)  # else commands that are printed to be copied begin with how the tests were started
    config.addinivalue_line("markers", "soak: takes minutes; runs only when it is asked for: -m soak")
    # Where Python may write no bytecode, each of hundreds of kernels would compile all that it imports: it goes into a folder of the run.
    if sys.dont_write_bytecode and not hasattr(config, "workerinput"):
        os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix = tempfile.mkdtemp(prefix="hitl-nb-bytecode-")
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        config.add_cleanup(lambda: shutil.rmtree(sys.pycache_prefix, ignore_errors=True))


def pytest_collection_modifyitems(config, items):
    if "soak" not in config.option.markexpr:
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("soak")])
        items[:] = [item for item in items if not item.get_closest_marker("soak")]
    for item in items:
        folder = item.path.relative_to(HERE).parts[0]
        if folder in ("browser", "crash", "kernel"):
            item.add_marker(folder)
    if hasattr(config, "workerinput"):
        rank = {folder: n for n, folder in enumerate(LONGEST_FIRST)}
        items.sort(key=lambda item: rank.get(item.path.relative_to(HERE).parts[0], len(rank)))
    else:
        # Playwright's synchronous interface keeps an event loop running in the main thread until the browser is closed,
        # and asyncio.run() refuses to work there.
        items.sort(key=lambda item: item.get_closest_marker("browser") is not None)
