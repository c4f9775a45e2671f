"""The commands that docs/headless.md shows are commands."""

import json
import re
import shlex
from inspect import signature
from pathlib import Path
from typing import get_args

import pytest

from hitl_nb.batch.execution import execute
from hitl_nb.batch.record import RunRecord, RunStatus
from hitl_nb.batch.run import run_notebook
from hitl_nb.cli import main

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "headless.md").read_text("utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n((?:.*\n)*?)```", PAGE) for line in block.splitlines()]


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith(("hitl-nb run", "papermill"))])
def test_each_command_is_understood(line, monkeypatch):
    from papermill.cli import papermill

    monkeypatch.chdir(ROOT / "notebooks")
    name, *arguments = shlex.split(line)
    command = papermill if name == "papermill" else main.commands[arguments.pop(0)]
    context = command.make_context(name, arguments)
    assert all(Path(value).exists() for value in (context.params.get("answers"), context.params.get("notebook")) if value)


def test_each_file_that_a_command_names_is_there():
    named = {word.partition("=")[2] or word for line in COMMANDS for word in shlex.split(line) if "01_first" in word}
    assert named == {"01_first_review.ipynb", "answers/01_first_review.yaml"}
    assert all((ROOT / "notebooks" / name).is_file() for name in named)


def test_each_keyword_of_the_calls_is_one():
    for call, function in (("run_notebook", run_notebook), ("execute_notebook", execute)):
        [given] = re.findall(rf"{call}\((.*)\)", PAGE)
        assert set(re.findall(r"(\w+)=", given)) - {"engine_name"} <= signature(function).parameters.keys()


def test_each_status_and_each_field_of_the_record_is_told():
    assert set(re.findall(r"^\| `([a-z ]+)` \|", PAGE, re.MULTILINE)) == set(get_args(RunStatus))
    [record] = map(json.loads, re.findall(r"```json\n((?:.*\n)*?)```", PAGE))
    assert record.keys() - {"error"} == RunRecord().metadata().keys()
