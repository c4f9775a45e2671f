"""What an earlier run of a case left behind, read from its notebook: there is no other list of what is done."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hitl_nb.batch.cases import Case
from hitl_nb.batch.results import STATUSES, Status
from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.questions import OpenQuestion
from hitl_nb.decisions.wording import cut
from hitl_nb.errors import shown

_OWN: Final = ("thread_id", "store", "hitl_answers")
"""Parameters that say nothing about the case."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """An executed notebook, as it stands in the folder of the batch."""

    thread_id: str
    """Of the case that it was run for."""
    status: Status
    error: str
    parameters: Mapping[str, Any]
    sources: tuple[str, ...]
    """Its code cells, without the one that papermill adds."""
    thread_ids: tuple[str, ...]
    """The threads that it reviewed."""
    questions: tuple[Mapping[str, Any], ...]
    """What it left open."""
    decisions: tuple[Mapping[str, Any], ...]
    duration_s: float | None


def earlier_run(notebook: Path) -> Earlier | None:
    """What the notebook says of its run; None when there is none, or none that can be read: the case is run then."""
    try:
        read = json.loads(notebook.read_text(encoding="utf-8"))
        told, papermill = read["metadata"]["hitl_nb"], read["metadata"]["papermill"]
        given, status = papermill["parameters"], told["status"]
        error = told.get("error")
        return Earlier(
            thread_id=given["thread_id"],
            status=status if status in STATUSES else "interrupted",
            error="" if error is None else _error(error),
            parameters={name: value for name, value in given.items() if name not in _OWN},
            sources=code_of(read),
            thread_ids=tuple(told["thread_ids"]),
            questions=tuple(told["questions"]),
            decisions=tuple(told["decisions"]),
            duration_s=papermill.get("duration"),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def code_of(notebook: Mapping[str, Any]) -> tuple[str, ...]:
    """The code cells of a notebook (nbformat 4), as they were written."""
    cells = (c for c in notebook["cells"] if c["cell_type"] == "code" and "injected-parameters" not in c.get("metadata", {}).get("tags", ()))
    return tuple("".join(c["source"]) for c in cells)


def change_since(earlier: Earlier, case: Case, sources: tuple[str, ...], notebook: Path) -> str:
    """Why what is there is not what is asked for now; empty when it is."""
    keep = f"To keep what is there, put it back. To run it anew on the same thread, delete {notebook}: what was decided is in the store, and stays"
    if earlier.thread_id != case.thread_id:
        return f"{notebook} belongs to the case {shown(earlier.thread_id)}; nothing was run. Name another folder with --out (out= in Python)"
    asked = json.loads(json.dumps(dict(case.parameters)))
    if earlier.parameters != asked:
        names = [n for n in {**asked, **earlier.parameters} if asked.get(n, _MISSING) != earlier.parameters.get(n, _MISSING)]
        changes = ", ".join(f"{n} was {_said(earlier.parameters, n)} and is {_said(asked, n)} now" for n in names)
        return f"{case.place} was changed since this case was run: {changes}. Nothing was run. For a new case, give it another thread. {keep}"
    if earlier.status == "done" and earlier.sources != sources:
        return f"the notebook was changed since this case was done. Nothing was run. {keep}"
    return ""


def has_moved(earlier: Earlier, saver: Checkpointer, opened: Mapping[str, Iterable[OpenQuestion]], fitting: Collection[str]) -> bool:
    """Whether there is something to run: somebody decided since, or the answers fit what is open (`fitting`: ids of questions)."""
    then = {q["id"] for q in earlier.questions}
    now = {q.interrupt_id for thread_id in earlier.thread_ids for q in opened.get(thread_id, ())}
    if now and now & set(fitting):
        return True
    heads = [head for thread_id in earlier.thread_ids if (head := saver.head(thread_id)) is not None]
    if not heads:  # the notebook keeps its threads elsewhere, and nobody here knows what became of them
        return earlier.status == "needs human"
    decided = sum(head.decisions - head.first_decision for head in heads)
    if decided != len(earlier.decisions):
        return not now or earlier.status == "needs human"
    return earlier.status == "needs human" and now != then


_MISSING = object()


def _said(values: Mapping[str, Any], name: str) -> str:
    return cut(shown(values[name])) if name in values else "not there"


def _error(told: Mapping[str, Any]) -> str:
    place = f"cell {told['cell']}: " if told.get("cell") is not None else ""
    return f"{place}{told['kind']}: {told['message']}"
