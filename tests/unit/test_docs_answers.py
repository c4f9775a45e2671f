"""What docs/answers.md shows is read and runs as it is shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from hitl_nb.decisions.answers import read_script

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "answers.md").read_text("utf-8")
EXAMPLES = re.findall(r"```python\n((?:.*\n)*?)```\n\n```text\n((?:.*\n)*?)```", PAGE)


@pytest.mark.parametrize("text", re.findall(r"```yaml\n((?:.*\n)*?)```", PAGE))
def test_every_answers_file_of_the_page_can_be_read(text):
    script = read_script(text)
    assert len(script.entries) == len(yaml.safe_load(text)["answers"])


@pytest.mark.parametrize(("code", "printed"), EXAMPLES, ids=range(len(EXAMPLES)))
def test_each_example_prints_what_the_page_shows(code, printed, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HITL_NB_ANSWERS", raising=False)
    exec(compile(code, "answers.md", "exec"), {"__name__": "example"})
    assert re.sub(r"blake2b:[0-9a-f]{32}", "blake2b:PAYLOAD", capsys.readouterr().out) == printed


def test_the_page_has_three_examples():
    assert len(EXAMPLES) == 3
