"""The examples in the docstrings of the package run and print what they say."""

import doctest
import pkgutil
from importlib import import_module

import pytest

import hitl_nb

MODULES = [m.name for m in pkgutil.walk_packages(hitl_nb.__path__, "hitl_nb.")]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # an example that opens the default folder opens it there
    outcome = doctest.testmod(import_module(name), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert outcome.failed == 0
