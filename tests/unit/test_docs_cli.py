"""What docs/cli.md shows is what the commands print. Ids and times, which are others each time, are replaced by those of the page."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from click.testing import CliRunner

import hitl_nb
from hitl_nb import DiskCacheSaver
from hitl_nb.cli import main
from hitl_nb.cli.group import SECTIONS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "cli.md").read_text("utf-8")
IDS = {"article-1": "3fa2b1c4", "order-12": "9d07e655"}
TIMES = re.compile(r"\d{4}-\d\d-\d\d([T ])\d\d:\d\d(:\d\d)?(\.\d{6})?")


def test_each_command_of_the_page_prints_what_the_page_shows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HITL_NB_STORE", raising=False)
    [setup] = re.findall(r"```python\n((?:.*\n)*?)```", PAGE)
    exec(compile(setup, "cli.md", "exec", dont_inherit=True), {"__name__": "example"})
    saver = DiskCacheSaver("reviews")
    real = {IDS[q.thread_id]: q.interrupt_id for q in saver.open_questions()}
    steps = [step for block in re.findall(r"```console\n((?:.*\n)*?)```", PAGE) for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    for step in steps:
        command, _, expected = step.partition("\n")
        program, *arguments = shlex.split(command)
        assert program == "hitl-nb"
        given = [next((i[: len(a)] for shown, i in real.items() if shown.startswith(a)), a) for a in arguments]
        output = CliRunner().invoke(main, given, prog_name="hitl-nb").output
        for shown, whole in real.items():
            output = output.replace(whole, shown).replace(whole[:8], shown)
        assert as_on_the_page(output) == expected, command
    assert len(steps) == 11
    saver.close()


def as_on_the_page(output: str) -> str:
    """Every time is noon of one day, as precise as it was."""
    return TIMES.sub(lambda m: f"2026-05-01{m[1]}12:00{':00' if m[2] else ''}{'.000000' if m[3] else ''}", output)


def test_the_page_names_every_command_and_every_variable_of_the_package():
    for _, names in SECTIONS:
        for name in names:
            assert re.search(rf"`(hitl-nb )?{name}\b|hitl-nb {name}\b", PAGE), name
    sources = "".join(file.read_text("utf-8") for file in Path(hitl_nb.__file__).parent.rglob("*.py"))
    variables = set(re.findall(r'"(HITL_NB_[A-Z]+)"', sources)) - {"HITL_NB_RUN"}  # a run tells its kernel by that one
    assert variables == set(re.findall(r"^\| `(HITL_NB_[A-Z]+)`", PAGE, re.MULTILINE))
