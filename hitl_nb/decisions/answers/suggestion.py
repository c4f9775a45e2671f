"""The YAML lines that would answer a question: to add to an answers file, or to change in it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final

from hitl_nb.checkpoint.records import Question
from hitl_nb.checkpoint.serde import Serde
from hitl_nb.decisions.actions import asked_actions, examples
from hitl_nb.decisions.answering import build_answer
from hitl_nb.decisions.answers.entry import Entry
from hitl_nb.decisions.answers.script import Script
from hitl_nb.decisions.answers.values import to_plain
from hitl_nb.decisions.forms import form_for
from hitl_nb.decisions.rows.answer import short_answers
from hitl_nb.decisions.wording import cut

_FIELDS_MAX: Final = 6
_TEXT_MAX: Final = 80
"""Characters of a field of the payload that goes into `when:`."""
_HEADINGS: Final = ("question", "prompt", "message", "action", "type", "stage")


def suggestion(question: Question, script: Script | None = None, *, thread: bool = False) -> str:
    """The YAML lines that would answer this question and no other: the first option, the others as comments.

    Without a script they are a valid answers file; with one they are in its shape, to be added to it. `thread`: name the thread, too.
    """
    samples = [_json(sample) for sample in sample_answers(question)]
    about = f"# {one_line(form_for(question, reviewer='').heading)}"
    shape = script.shape if script else "entries"
    if shape == "list" and script is not None and any(not e.in_order for e in script.entries):
        lines = _entry_lines(question, samples, about, script, thread=thread)
        return "\n".join(line[2:] for line in lines)
    if shape == "list":
        return "\n".join([about, *(f"{'- ' if n == 0 else '# or: '}{sample}" for n, sample in enumerate(samples))])
    if shape == "nodes":
        return "\n".join(
            [f"{scalar(escaped(question.node))}:  {about}", *(f"  {'- ' if n == 0 else '# or: '}{sample}" for n, sample in enumerate(samples))]
        )
    return "\n".join([*([] if script else ["answers:"]), *_entry_lines(question, samples, about, script, thread=thread)])


def change(question: Question, entry: Entry) -> str:
    """What to write in place of an entry's answer that does not fit its question."""
    first, *others = [_json(sample) for sample in sample_answers(question)]
    return "\n".join([first if entry.in_order else f"answer: {first}", *(f"# or: {sample}" for sample in others)])


def one_line(text: str, most: int = 100) -> str:
    """Safe inside a YAML comment: one line, nothing that a parser or a terminal would act on."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return cut(line, most)


def scalar(text: str) -> str:
    """A text as YAML, without quotes where it needs none."""
    return text if text.isidentifier() and text.isascii() and text.lower() not in _WORDS else _json(text)


_WORDS: Final = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
"""What some reader of YAML takes for something else than the text."""


def _entry_lines(question: Question, samples: list[str], about: str, script: Script | None, *, thread: bool) -> list[str]:
    node = escaped("/".join(question.place))
    lines = [f"  - node: {scalar(node)}  {about}"]
    if thread:
        lines.append(f"    thread: {scalar(escaped(question.thread_id))}")
    if question.key is not None:
        lines.append(f"    key: {scalar(question.key)}")
    if when := _telling(question.payload):
        lines.append(f"    when: {{{', '.join(f'{scalar(k)}: {_json(v)}' for k, v in when.items())}}}")
    elif script is not None and (nth := script.nth(question)) > 1:
        lines.append(f"    nth: {nth}")
    if question.quorum > 1:
        lines.append(f"    by: …  # one such entry for each of {question.quorum} reviewers")
    return lines + [f"    {'answer' if n == 0 else '# or'}: {sample}" for n, sample in enumerate(samples)]


def escaped(name: str) -> str:
    """The id or name as a file names it and no other: * ? and [ stand for themselves."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _telling(payload: Any) -> dict[str, Any]:
    """The short fields of a payload, by which the question is known again: its words first."""
    if not isinstance(payload, Mapping):
        return {}
    short = {k: v for k, v in ((k, _short(v)) for k, v in payload.items() if _short(k) is k and isinstance(k, str)) if v is not _TOO_LONG}
    order = sorted(short, key=lambda k: k not in _HEADINGS)
    return {k: short[k] for k in short if k in order[:_FIELDS_MAX]}


_TOO_LONG: Final = object()


def _short(value: Any) -> Any:
    """The value as a file can say it in few characters, or _TOO_LONG."""
    if hasattr(value, "dtype") and getattr(value, "ndim", 1) == 0:
        value = value.item()
    if isinstance(value, str):
        return value if type(value) is str and len(value) <= _TEXT_MAX and value.isprintable() else _TOO_LONG
    if value is None or type(value) is bool or (type(value) is int and abs(value) < 2**63) or (type(value) is float and math.isfinite(value)):
        return value
    return _TOO_LONG


def sample_answers(question: Question) -> list[Any]:
    """An answer for each option."""
    form = form_for(question, reviewer="")
    if form.control == "table":
        return short_answers(question.payload)
    actions = asked_actions(question.payload) if question.schema is None and question.kind != "static" else None
    if actions is not None:
        return examples(actions)
    samples = []
    for option in form.options:
        text = (form.template or "null") if form.control in ("json", "form") else '"…"' if form.parse else "…"
        needs = option.edits or form.shape == "text"
        samples.append(build_answer(form, option.value, text=text if needs else None, comment="…" if option.needs_comment else ""))
    return samples


def _json(value: Any) -> str:
    """As JSON that YAML reads too, in one line that a terminal shows as it is."""
    text = json.dumps(to_plain(value, Serde()), ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in text)
