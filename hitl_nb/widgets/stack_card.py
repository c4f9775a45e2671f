"""The card of a question that may be one of several: its answer is checked and kept, and sent with the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from html import escape
from typing import Any, Final, Protocol

from hitl_nb.checkpoint.records import Decision
from hitl_nb.checkpoint.serde import Serde
from hitl_nb.checkpoint.voting import Vote
from hitl_nb.decisions.check import check_answer
from hitl_nb.decisions.request import Option, Request
from hitl_nb.errors import NotSerializableError
from hitl_nb.widgets import markup
from hitl_nb.widgets.card import Card
from hitl_nb.widgets.controls import button, classed, close
from hitl_nb.widgets.outcome import Outcome, outcome
from hitl_nb.widgets.panel import Panel
from hitl_nb.widgets.surface import Held, Press
from hitl_nb.widgets.text_panel import TextPanel

_CODEC: Final = Serde()


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer that was given and checked, and not sent."""

    option: Option
    """The button that gave it."""
    answer: Any
    """A copy of its own: nothing that happens to the card changes it."""
    outcome: Outcome
    dressed: bool
    """False: it was typed as JSON, in a front end that cannot draw the panel."""
    is_steady: bool
    """The same card gives the same answer again, so that a change can be noticed. A renderer of the user's own may read a clock."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What was filled in on a card that is not drawn at the moment."""

    panel: Panel | None = None
    """The one that holds it; None where it is made anew."""
    text: str | None = None
    comment: str = ""
    plain: str = ""
    editing: Option | None = None
    unsent: Mapping[str, str] = field(default_factory=dict)

    def close(self) -> None:
        """Free the widgets of a panel that brings some."""
        for widget in () if self.panel is None else (self.panel.view, self.panel.widget):
            if widget is not None:
                close(widget)


@dataclass(frozen=True, slots=True)
class Finish:
    """The button that sends what is kept."""

    label: str
    filled: bool
    """Every question has its answer, so this is what most people press next."""


class Keeper(Protocol):
    """The place of a card in its stack."""

    kept: Kept | None
    sent_by: str | None
    """The page that sent the answers of the stack, and with them this one; None while none did."""

    @property
    def is_stacked(self) -> bool:
        """There are others, so an answer is kept; else it is sent at once."""

    @property
    def finish(self) -> Finish | None:
        """None: nothing is kept."""

    def submit(self, answer: Any) -> Decision | Vote: ...

    def keep(self, kept: Kept) -> None: ...

    def went_on(self) -> None:
        """The answer is kept and the card can leave the page."""

    def drop(self) -> None:
        """What is kept is not the answer any more."""

    def send(self, page: str = "") -> None:
        """Send everything that is kept; it was pressed in this page."""


class StackCard(Card):
    """Made anew each time its question is shown; `put_away` returns what to go on with."""

    def __init__(self, request: Request, place: Keeper, answered: Callable[[Request, Decision], None], draft: Draft, **more: Any) -> None:
        self._place, self._draft = place, draft
        self._is_filling = True
        self._using: tuple[Option, bool] | None = None
        self._finish: Any = None
        self._finish_number = -1
        super().__init__(request, self._give, answered, **more)
        self._surface.on_hold(self._held)
        self._fill()

    # -- drawn again as it was

    def _first_panel(self) -> Panel:
        return self._draft.panel or super()._first_panel()

    def _fill(self) -> None:
        draft = self._draft
        if draft.text is not None and self._text is not None:
            self._text.field.value = draft.text
        if self._comment is not None:
            self._comment.value = draft.comment
        if self._plain is not None:
            self._plain.value = draft.plain
        self._is_filling = False
        if draft.editing is not self._editing and draft != Draft():
            self._editing = draft.editing
            self._draw()
        elif draft != Draft():
            self._refresh()

    def put_away(self) -> Draft:
        """Free the widgets. What a panel cannot make anew stays with it."""
        with self._lock:
            self.state = "over"
            panel, unsent = self._panel, self.unsent
            anew = type(panel) is TextPanel and panel.view is None
            stay = () if anew else tuple(w for w in (panel.view, panel.widget) if w is not None)
            draft = Draft(
                panel=None if anew else panel,
                text=self._text.field.value if anew and self._text is not None else None,
                comment=self._commented,
                plain="" if self._plain is None else self._plain.value,
                editing=self._editing,
                unsent=unsent,
            )
            self.box.children = tuple(w for w in self.box.children if w not in stay)
            close(self.box)
            return draft

    # -- what is drawn

    @property
    def _verb(self) -> str:
        return "keep" if self._place.is_stacked else "send"

    def _standing(self) -> tuple[str, str]:
        return super()._standing() if self._place.kept is None else ("ok", "Answered, not sent")

    def _buttons(self) -> list[Any]:
        made = super()._buttons()
        kept, finish = self._place.kept, self._place.finish
        if kept is not None:
            chosen = {f"hitl-nb-press-{n}" for n, option in self._presses.items() if option == kept.option}
            for each in made:
                each.remove_class("hitl-nb-primary")
                if chosen & set(each._dom_classes):
                    each.add_class("hitl-nb-chosen")
            made.append(button("Take back", self._place.drop, look="quiet"))
        self._finish = None
        if finish is not None:
            self._finish_number = next(self._numbers)
            self._finish = classed(button("", self._place.send), f"hitl-nb-finish hitl-nb-send hitl-nb-press-{self._finish_number}")
            made.append(self._finish)
        self._relabel_all(made)
        return made

    def _relabel_all(self, buttons: Any) -> None:
        """Words that hold in a stack: a button there keeps."""
        finish = self._place.finish
        for each in buttons:
            if each is self._finish and finish is not None:
                each.description = finish.label
                (each.add_class if finish.filled else each.remove_class)("hitl-nb-primary")
            elif self._place.is_stacked and each.description.startswith("Send "):
                each.description = "Keep " + each.description.removeprefix("Send ")

    def restack(self) -> None:
        """The others changed."""
        with self._lock:
            if self.state == "open" and (self._place.finish is None) != (self._finish is None):
                self._draw()
            else:
                self._relabel_all(self._row.children)

    def pause(self) -> None:
        """Nothing can be pressed until `resume`: what is kept is being sent."""
        if self.state == "open":
            self.state = "sending"

    def resume(self) -> None:
        if self.state == "sending":
            self.state, self.beaten = "open", ""

    def redraw(self) -> None:
        """What is kept changed. Buttons that are drawn anew do not answer to a click that was meant for the old ones."""
        with self._lock:
            if self.state == "open":
                self._draw()

    def say_lost(self, words: str) -> None:
        """What it shows when the kernel is gone. HTML."""
        self._lost.value = markup.lost(words)

    def say_problem(self, message: str) -> None:
        with self._lock:
            self._say_problem(message, "")

    def _refresh(self) -> None:
        super()._refresh()
        kept = self._place.kept
        if kept is None or self._is_filling:
            return
        if self._fits(kept):
            self._line.value = markup.line(f"Your answer: <b>{escape(self._panel.line() or kept.outcome.label)}</b>, not sent yet")
        else:
            self._place.drop()

    def _fits(self, kept: Kept) -> bool:
        """Whether the same button would give the same answer now."""
        if not kept.is_steady:
            return True
        try:
            return _same(self._answer(kept.option, dressed=kept.dressed), kept.answer)
        except Exception:  # noqa: BLE001  whatever it holds now, it is not the answer that was kept
            return False

    # -- what a person does

    def _send(self, option: Option, *, dressed: bool = False, page: str = "") -> None:
        self._using = option, dressed
        super()._send(option, dressed=dressed, page=page)

    @property
    def _sender(self) -> str | None:
        return self._place.sent_by if self.sent_by is None else self.sent_by

    def _give(self, answer: Any) -> Decision | Vote | None:
        if not self._place.is_stacked:
            return self._place.submit(answer)
        assert self._using is not None
        option, dressed = self._using
        answer = deepcopy(answer)
        checked = check_answer(self.request.question, answer)
        kept = Kept(option, answer, outcome(self.request.form, checked), dressed, is_steady=True)
        with self._lock:
            self._place.keep(kept if self._fits(kept) else replace(kept, is_steady=False))
        return None

    def _taken(self, made: Decision | Vote | None) -> None:
        super()._taken(made)
        if made is None:
            self._place.went_on()

    def _pressed(self, press: Press) -> None:
        if press.number != self._finish_number or self._finish is None:
            super()._pressed(press)
            return
        if self.state != "open":  # it was put away: what is kept by now is not what was seen as this was pressed
            return
        self._held(press)
        if self._panel.late:
            self._surface.echo(lambda: self._send_kept(press.page))
        else:
            self._place.send(press.page)

    def _send_kept(self, page: str) -> None:
        if self.state == "open":
            self._typed()
            self._place.send(page)

    def _held(self, held: Held) -> None:
        """The person goes to another question, or sends what is kept: what the page holds here is not lost, and not overlooked."""
        with self._lock:
            if self.state == "open" and self._take(held):
                self._refresh()


def _same(one: Any, other: Any) -> bool:
    """Equal as they would be stored: 1 is neither True nor 1.0, and NaN is equal to itself. What cannot be stored is compared by ==."""
    try:
        return _CODEC.digest(one, "answer") == _CODEC.digest(other, "answer")
    except NotSerializableError:
        return type(one) is type(other) and bool(one == other)
