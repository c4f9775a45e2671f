"""What the pages in docs/ show runs as it is shown."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
_EXAMPLE = re.compile(r"^## (.*?)\n(?:(?!## ).*\n)*?```python\n((?:.*\n)*?)```\n\n```text\n((?:.*\n)*?)```", re.MULTILINE)
EXAMPLES = _EXAMPLE.findall((DOCS / "runtime.md").read_text("utf-8"))
OF_CARDS = _EXAMPLE.findall((DOCS / "cards.md").read_text("utf-8"))


@pytest.mark.parametrize(("code", "printed"), [e[1:] for e in EXAMPLES + OF_CARDS], ids=[e[0] for e in EXAMPLES + OF_CARDS])
def test_each_example_prints_what_the_page_shows(code, printed, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "runtime.md", "exec"), {"__name__": "example"})
    assert capsys.readouterr().out == printed


def test_no_section_is_without_an_example():
    page = (DOCS / "runtime.md").read_text("utf-8")
    assert [e[0] for e in EXAMPLES] == re.findall(r"^## (.*)$", page, re.MULTILINE)


def test_the_imports_that_replace_those_of_langgraph_exist():
    page = (DOCS / "from_langgraph.md").read_text("utf-8")
    lines = re.findall(r"from hitl_nb[.\w]* import [^\n`]+", page)
    assert lines
    for line in lines:
        exec(line, {})


def test_the_front_ends_are_named_with_the_versions_that_are_tested():
    page = (DOCS / "front_ends.md").read_text("utf-8")
    pins = dict(line.split("==") for line in (DOCS.parent / "constraints.txt").read_text("utf-8").splitlines() if "==" in line)
    named = {"JupyterLab": "jupyterlab", "Notebook 7": "notebook", "Voila": "voila", "ipykernel 7": "ipykernel", "nbconvert to HTML": "nbconvert"}
    for row, package in named.items():
        assert f"| {row} | {pins[package]} |" in page
