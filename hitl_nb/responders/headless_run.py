"""What a program that runs a notebook tells its kernel: the answers of this run, and what becomes of a question that they do not answer."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

RUN_VARIABLE: Final = "HITL_NB_RUN"
"""JSON, or @ and the path of a file that holds it."""
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class HeadlessRun:
    """One run of a notebook, as its kernel is told of it."""

    answers: Any = None
    """The answers that the run was given: a path or a text, a list, a mapping; None: what the notebook and the environment say."""
    leaves_open: bool = False
    """A question that nothing answers stays open, and the run stops at it."""

    @classmethod
    def here(cls) -> HeadlessRun | None:
        """The run that this kernel belongs to; None where nobody keeps account of it."""
        text = os.environ.get(RUN_VARIABLE, "")
        try:
            told = json.loads(Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text)
            return cls(told["answers"], told["leaves_open"]) if told["version"] == _VERSION else None
        except (OSError, ValueError, KeyError, TypeError):  # not set, or set by something else
            return None

    def told(self) -> str:
        """What the environment variable says, or its file. Raises TypeError for answers that JSON has not."""
        return json.dumps({"version": _VERSION, **asdict(self)})
