"""What the README shows runs as it is shown."""

import re
from pathlib import Path

import pytest

from hitl_nb.decisions.answers import read_script

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
DOCS = Path(__file__).resolve().parents[2] / "docs"
YAML = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)


def test_the_example_runs_with_scripted_answers_and_is_as_short_as_promised(tmp_path, monkeypatch):
    [example] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(example.splitlines()) <= 16
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HITL_NB_ANSWERS", '[{"action": "edit", "edited_text": "Better."}]')
    names = {}
    exec(compile(example, "README.md", "exec"), names)
    assert names["session"].result()["text"] == "Better."
    assert (tmp_path / "reviews").is_dir()


@pytest.mark.parametrize("text", YAML, ids=["in order", "by node", "entries"])
def test_the_three_forms_of_answers_are_read(text):
    assert read_script(text).entries


def test_the_commands_it_names_exist():
    from hitl_nb.cli import main

    pages = [README, *(page.read_text("utf-8") for page in DOCS.glob("*.md"))]
    named = [set(re.findall(r"hitl-nb (\w+)", page)) for page in pages]
    assert named[0] >= {"demo", "lab"}
    assert set.union(*named) == main.commands.keys()
