"""What docs/batches.md shows runs as it is shown."""

import re
from pathlib import Path

from click.testing import CliRunner

from hitl_nb.cli import main

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "batches.md").read_text("utf-8")


def test_the_example_of_a_graph_prints_what_the_page_shows(capsys):
    [(code, printed)] = re.findall(r"```python\n((?:(?!```).*\n)*)```\n\n```text\n((?:(?!```).*\n)*)```", PAGE)
    exec(compile(code, "batches.md", "exec"), {"__name__": "example"})
    assert capsys.readouterr().out == printed


def test_the_options_of_the_page_are_those_of_the_command():
    told = CliRunner().invoke(main, ["batch", "--help"]).output
    named = set(re.findall(r"--[a-z]+(?:-[a-z]+)*", PAGE))
    assert {"--cases", "--answers", "--out", "--store", "--workers", "--id-column", "--on-missing"} <= named
    assert [name for name in named if name not in told] == []
