"""What docs/store.md shows is what the commands print, but for hashes, sizes, names of value files and folders, which are others each time."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from click.testing import CliRunner

from hitl_nb.cli import main

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "store.md").read_text("utf-8")
BLOCK = re.compile(r"```(python|console)\n((?:.*\n)*?)```")


def test_each_block_of_the_page_runs_and_prints_what_the_page_shows(tmp_path, monkeypatch):
    home = tmp_path / "ann"
    home.mkdir()
    monkeypatch.chdir(home)
    monkeypatch.delenv("HITL_NB_STORE", raising=False)
    ran = 0
    for language, block in BLOCK.findall(PAGE):
        if language == "python":
            exec(compile(block, "store.md", "exec", dont_inherit=True), {"__name__": "example"})
            continue
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, expected = step.partition("\n")
            program, *arguments = shlex.split(command)
            assert program == "hitl-nb"
            output = CliRunner().invoke(main, arguments, prog_name="hitl-nb").output
            assert steady(output, home) == steady(expected, Path("/home/ann")), command
            ran += 1
    assert ran == 9


def steady(text: str, home: Path) -> str:
    """Without what is another each time: names, hashes, sizes, the file system."""
    text = text.replace(str(home), "HOME")
    text = re.sub(r"[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{28}\.val", "VALUE", text)
    text = re.sub(r"newest [0-9a-f]{12}", "newest HASH", text)
    text = re.sub(r"[\d.]+ (KiB|MiB)", "SIZE", text)
    return re.sub(r"file system     \S+", "file system     TYPE", text)
