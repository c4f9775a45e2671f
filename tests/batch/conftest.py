"""Notebooks that are written for a test."""

import nbformat
import pytest

PARAMETERS = "hitl_answers = None\nstore = None\nthread_id = None\n"


@pytest.fixture(scope="session")
def write_notebook():
    """Writes a notebook of these cells, with a `parameters` cell before them; its path."""

    def write(path, *cells, parameters=PARAMETERS):
        made = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}})
        made.cells = [nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}), *map(nbformat.v4.new_code_cell, cells)]
        nbformat.write(made, path)
        return path

    return write
