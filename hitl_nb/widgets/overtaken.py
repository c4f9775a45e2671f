"""What a card says when its question cannot be answered there any more: somebody else was first, or something else is asked now."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from hitl_nb.checkpoint.questions import EXPIRED
from hitl_nb.checkpoint.records import Decision
from hitl_nb.decisions.parts import ROWS_MAX, Illustration, Part, lines
from hitl_nb.decisions.request import Form, Request
from hitl_nb.widgets import markup, times
from hitl_nb.widgets.diff import side_by_side
from hitl_nb.widgets.outcome import done
from hitl_nb.widgets.receipt import PLACES, Receipt

_WAY: Final = " Its details show how to change it."


class Note(NamedTuple):
    """What a person who looks must be told beside a receipt."""

    lead: str
    """What matters most; may be empty."""
    words: str

    @property
    def plain(self) -> str:
        return " ".join(filter(None, self))


def elsewhere(
    request: Request, now: datetime, unsent: Mapping[str, str], *, by: str, at: datetime | None, answer: str = "", tried: str | None = None
) -> str:
    """Who was first, and when. `tried`: the button that came second; None where none was pressed."""
    told = {"Answer": answer, "By": by, "When": times.absolute(at) if at else ""}
    lost = [] if tried is None else [markup.alert("Your answer" + _quoted(tried) + " was not recorded.", "This one came first and counts:")]
    return markup.head_of(request, "ok" if tried is None else "late", "Answered elsewhere", now) + markup.body(
        request, *lost, markup.facts({k: v for k, v in told.items() if v}), *_kept(unsent), instruction=False
    )


def missed(receipt: Receipt, tried: str, *, tabs: bool, changeable: bool = False) -> Note:
    """What is told of a button that was pressed when the question had its answer. `tabs`: two tabs show one card, and both of them read this.
    `changeable`: its details show how to change what counts.
    """
    d, label, way = receipt.decision, receipt.outcome.label, _WAY if changeable else ""
    heading = receipt.request.form.heading
    if not tabs:
        return Note(f"Your answer{_quoted(tried)} was not recorded.", f"{_first(receipt)}, and counts for “{heading}”.{way}")
    if done(tried) == label:
        return Note("", f"“{tried}” was pressed in two tabs for “{heading}”. It is recorded once.")
    at = f"{d.reviewer}, {times.absolute(d.decided_at)}"
    return Note(f"“{tried}” was not recorded.", f"Two tabs answered “{heading}” at once: “{label}” came first ({at}) and counts.{way}")


def who(decision: Decision) -> str:
    """`Sam Ito, in the terminal`."""
    if decision.how == EXPIRED:
        return "nobody in time: the default counts"
    _, from_where = PLACES.get(decision.how, ("", decision.how))
    return f"{decision.reviewer}, {from_where}"


def outdated(request: Request, now: datetime, current: Request | None, unsent: Mapping[str, str], *, compared: bool) -> str:
    """That nothing was sent, and why. `current`: what is asked now in its place. `compared`: show what changed."""
    if current is None:
        why = "This question is no longer asked: the thread was changed after this card was drawn. Nothing was sent from here."
    else:
        what = _what_changed(request.form, current.form)
        why = f"{what} changed after this card was drawn. An answer here would be about something you have not seen, so nothing was sent."
    parts = [markup.note(why)]
    if compared and current is not None:
        parts.append(_compared(request.form, current.form, "When this card was drawn"))
    return markup.head_of(request, "late", "Out of date", now) + markup.body(request, *parts, *_kept(unsent), instruction=False)


def last_words(request: Request, receipt: Receipt | None, unsent: Mapping[str, str], tried: str | None = None, *, changeable: bool = False) -> Note:
    """What stays of such a card when the session ends, in one line."""
    lost = " What was typed here was not sent." if unsent else ""
    heading = f"“{request.form.heading}”"
    if receipt is None:
        return Note("", f"{heading} was no longer asked, so nothing was sent from here.{lost}")
    if tried is not None:
        note = missed(receipt, tried, tabs=False, changeable=changeable)
        return note._replace(words=note.words + lost)
    at = times.absolute(receipt.decision.decided_at)
    return Note("", f"{heading} was answered elsewhere: {receipt.outcome.label}, by {who(receipt.decision)}, {at}.{lost}")


def _first(receipt: Receipt) -> str:
    """`Sam Ito, in the terminal, was first with “Approved”, 20 Nov 2026, 09:41 UTC`."""
    d, label, at = receipt.decision, receipt.outcome.label, times.absolute(receipt.decision.decided_at)
    if d.how == EXPIRED:
        return f"The deadline was first: the default “{label}” was recorded, {at}"
    return f"{who(d)}, was first with “{label}”, {at}"


def _quoted(tried: str) -> str:
    return f" “{tried}”" if tried else ""


def asked_again(earlier: Receipt, request: Request) -> str:
    """What a card says of the answer that was taken back, or that does not count because something else is asked now."""
    name = "You" if is_mine(earlier) else earlier.decision.reviewer
    said = f"{name} answered “{earlier.outcome.label}” on {times.absolute(earlier.decision.decided_at)}"
    old, new = earlier.request.form, request.form
    if _as_text(old) == _as_text(new) and old.parts == new.parts:
        return markup.note(f"{said}; it stays in the record.")
    changed = f"{said}. {_what_changed(old, new)} changed since, so that answer does not count; it stays in the record."
    return (
        markup.note(changed)
        + f'<details class="hitl-nb-fold"><summary>Show what changed</summary>{_compared(old, new, "When it was answered")}</details>'
    )


def is_mine(receipt: Receipt) -> bool:
    """Whether the person in front of the card gave this answer."""
    return receipt.decision.reviewer == receipt.request.form.reviewer


def _kept(unsent: Mapping[str, str]) -> list[str]:
    return [markup.text(f"Your {name}, not sent", text) for name, text in unsent.items()]


def _what_changed(old: Form, new: Form) -> str:
    if old.subject != new.subject:
        return f"The {new.subject_label.lower()}"
    if old.heading != new.heading:
        return "What is asked"
    part = next((part for part in new.parts if part not in old.parts), None) if old.facts == new.facts else None
    return f"The {part.label.lower()}" if part is not None else "The facts"


def _compared(old: Form, new: Form, when: str) -> str:
    return side_by_side(_as_text(old), _as_text(new), left=when, right="Now")


def _as_text(form: Form) -> str:
    """All that the card showed, for comparing."""
    facts = "\n".join(f"{key}: {value}" for key, value in form.facts.items())
    return "\n\n".join(filter(None, (form.heading, form.instruction, facts, *map(_part_as_text, form.parts), form.subject)))


def _part_as_text(part: Part) -> str:
    text = "\n".join(lines(part, rows=ROWS_MAX))
    return f"{text}, {len(part.picture.data):,} bytes" if isinstance(part, Illustration) else text
