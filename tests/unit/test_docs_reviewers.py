"""What docs/reviewers.md shows is read and runs as it is shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from hitl_nb.checkpoint.reviewers import ReviewersFile
from hitl_nb.decisions.answers import read_script

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reviewers.md").read_text("utf-8")
EXAMPLES = re.findall(r"```python\n((?:.*\n)*?)```\n\n```text\n((?:.*\n)*?)```", PAGE)
FILE, ANSWERS = re.findall(r"```yaml\n((?:.*\n)*?)```", PAGE)


@pytest.mark.parametrize(("code", "printed"), EXAMPLES, ids=range(len(EXAMPLES)))
def test_each_example_prints_what_the_page_shows(code, printed, capsys):
    exec(compile(code, "reviewers.md", "exec"), {"__name__": "example"})
    assert capsys.readouterr().out == printed


def test_the_page_has_three_examples_and_its_files_can_be_read(tmp_path):
    assert len(EXAMPLES) == 3
    (tmp_path / "reviewers.yaml").write_text(FILE)
    read = ReviewersFile.of(None, tmp_path).now()
    assert [p.id for p in read.people] == list(yaml.safe_load(FILE)["reviewers"])
    assert read.person("Lee Ng").roles == ("finance",)
    assert [e.by for e in read_script(ANSWERS).entries] == ["dana", "lee"]
