"""A store with something of everything, for the tests of what becomes of whole stores: each file of tests has its own."""

import shutil

import pytest

from tests.crash.whole_store import make


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "store"
    make(folder)
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "store")
