"""A batch as one HTML page: no script, no network, light and dark. Every text on it is somebody else's, and is escaped."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any, Final
from urllib.parse import quote

from hitl_nb.batch.results import BatchResult, CaseResult, Status, brief_answer, duration
from hitl_nb.decisions.wording import as_written, capital, cut, plural, straight
from hitl_nb.errors import utc

_KINDS: Final[dict[Status, str]] = {
    "done": "ok",
    "needs human": "ask",
    "failed": "bad",
    "kernel died": "bad",
    "timed out": "bad",
    "interrupted": "rest",
    "not run": "rest",
}
_MARKS: Final = {"ok": "✓", "ask": "○", "bad": "✕", "rest": "◌"}
"""A sign of its own for each kind: colour never speaks alone."""
_WORDS: Final = {status: "Needs a human" if status == "needs human" else capital(status) for status in _KINDS}
_SHOWN: Final = 3
"""Decisions that are told before they are unfolded."""


def page(result: BatchResult, *, on_disk: bool = True) -> str:
    """The page. `on_disk`: the store is a folder, so that commands can name it."""
    text: str = _template().render(
        result=result,
        kinds=_KINDS,
        marks=_MARKS,
        words=_WORDS,
        ran=sum(case.ran for case in result.cases),
        open=[case for case in result.cases if case.questions],
        shared=_shared(result.cases),
        failed=[case for case in result.cases if case.status not in ("done", "needs human")],
        on_disk=on_disk,
    )
    return text


@cache
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    def shown(value: Any) -> Any:
        """What stands on the page: no letter of a text turns around what follows it. Escaping comes after."""
        return straight(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=shown)
    environment.globals["css"] = Markup(_read("batch.css"))  # noqa: S704  the package's own file
    environment.filters |= {
        "answered": brief_answer,
        "brief": lambda value: cut(as_written(value)),
        "count": lambda number: f"{number:,}",
        "decided": _decided,
        "duration": duration,
        "href": quote,
        "moment": _moment,
        "shell": shlex.quote,
    }
    return environment.from_string(_read("batch.html.j2"))


def _shared(cases: Sequence[CaseResult]) -> dict[str, Any]:
    """The parameters that are the same in all cases, and would only fill every row."""
    if len(cases) < 2:
        return {}
    first, *others = (case.parameters for case in cases)
    return {name: value for name, value in first.items() if all(name in given and _same(given[name], value) for given in others)}


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and as_written(one) == as_written(other)


def _decided(decisions: Sequence[Mapping[str, Any]]) -> str:
    """`approve, reject, approve and 10 more`."""
    told = ", ".join(brief_answer(d["answer"]) for d in decisions[:_SHOWN])
    return told + (f" and {plural(len(decisions) - _SHOWN, 'more', 'more')}" if len(decisions) > _SHOWN else "")


def _moment(at: datetime | str) -> str:
    return utc(at if isinstance(at, datetime) else datetime.fromisoformat(at).astimezone(UTC))


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
