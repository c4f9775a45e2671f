"""`import hitl_nb` is quick: what is heavy is loaded by the function that needs it."""

import subprocess
import sys

import pytest

HEAVY = {
    "IPython",
    "anywidget",
    "click",
    "diskcache",
    "filelock",
    "ipywidgets",
    "jsonschema",
    "nbclient",
    "nbconvert",
    "nbformat",
    "numpy",
    "pandas",
    "papermill",
    "pydantic",
    "yaml",
}


def loaded_after(statement: str) -> set[str]:
    """The heavy packages that a fresh Python has loaded after the statement."""
    code = f"import sys\n{statement}\nprint(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.split()) & HEAVY


def test_import_loads_no_heavy_package():
    assert loaded_after("import hitl_nb") == set()


def test_a_graph_in_memory_loads_no_heavy_package_either():
    assert loaded_after("from hitl_nb import StateGraph, MemorySaver, Command, interrupt, START, END") == set()


def test_the_engine_that_papermill_loads_is_light():
    assert loaded_after("import hitl_nb.batch.engine") == set()


def test_the_check_sees_a_package_that_was_loaded():
    assert loaded_after("import yaml") == {"yaml"}


@pytest.mark.parametrize("name", __import__("hitl_nb").__all__)
def test_every_public_name_is_there(name):
    assert getattr(__import__("hitl_nb"), name) is not None
