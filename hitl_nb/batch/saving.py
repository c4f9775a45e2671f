"""How an executed notebook is kept: as a whole, and without what only a live kernel can draw."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, Final

WIDGET_VIEW: Final = "application/vnd.jupyter.widget-view+json"


def drop_live_views(notebook: Any) -> None:
    """Without what only a live kernel can draw: a viewer prefers the widget to the html beside it, and then shows nothing."""
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if len(output.get("data", {})) > 1:
                output["data"].pop(WIDGET_VIEW, None)


def write_whole(path: Path, text: str) -> None:
    """Write the file, or leave it as it was. Raises OSError."""
    path = path.resolve()  # a link stays one
    if path.exists() and not path.is_file():  # /dev/stdout
        path.write_text(text, encoding="utf-8")
        return
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, beside)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
