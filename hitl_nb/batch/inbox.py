"""The notebook in which the open questions of a batch are answered."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hitl_nb.batch.saving import write_whole
from hitl_nb.decisions.wording import plural

_WIDTH: Final = 110
"""Characters of a line of code."""
_TEXT = """\
# {count}

Left open by the batch of `{source}`. Run the cell, and answer. An answer counts at once, and stays.

Then run the batch again: it goes on with the cases that were answered, and runs nothing else."""


def write_inbox(path: Path, *, store: Path, threads: Sequence[str], questions: int, source: str) -> Path:
    """The path of a notebook that shows the open questions of these threads. One that shows them already is left as it is: somebody may have it open.

    Raises OSError.
    """
    where = os.path.relpath(store, path.parent)
    code = f"from hitl_nb import inbox\n\ninbox({json.dumps(where, ensure_ascii=False)}, threads={_list(threads)})"
    text = _TEXT.format(count=plural(questions, "open question"), source=source.replace("`", "'"))
    if not _shows(path, code):
        write_whole(path, _notebook(text, code))
    return path


def _notebook(text: str, code: str) -> str:
    """A notebook of two cells. Written by hand, for nbformat takes a second to load."""
    made = {
        "cells": [
            {"cell_type": "markdown", "id": "open", "metadata": {}, "source": text.splitlines(keepends=True)},
            {"cell_type": "code", "id": "inbox", "metadata": {}, "execution_count": None, "outputs": [], "source": code.splitlines(keepends=True)},
        ],
        "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


def _list(threads: Sequence[str]) -> str:
    """As a person would write it: in one line, or in lines that can be read. So the questions below it are not pushed away."""
    texts = [json.dumps(thread, ensure_ascii=False) for thread in threads]
    line = f"[{', '.join(texts)}]"
    if len(line) <= _WIDTH - 30:
        return line
    lines = [""]
    for text in texts:
        if lines[-1] and len(lines[-1]) + len(text) + 2 > _WIDTH:
            lines.append("")
        lines[-1] += f"{' ' if lines[-1] else '    '}{text},"
    return "\n".join(["[", *lines, "]"])


def _shows(path: Path, code: str) -> bool:
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return any("".join(cell["source"]) == code for cell in cells)
    except (OSError, ValueError, KeyError, TypeError):
        return False
