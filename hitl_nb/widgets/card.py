"""The drawn request: question above, panel between, buttons below. Hands the panel's answer to `submit`. Holds no logic of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from html import escape
from itertools import count
from threading import RLock
from typing import Any, Final

import ipywidgets

from hitl_nb.checkpoint.records import Decision, utc_now
from hitl_nb.checkpoint.voting import Vote
from hitl_nb.decisions.answering import build_answer, sends
from hitl_nb.decisions.json_text import JsonTextError, read_json
from hitl_nb.decisions.request import Option, Request
from hitl_nb.errors import (
    AlreadyAnsweredError,
    DeadlinePassedError,
    HitlError,
    InvalidAnswerError,
    NotEntitledError,
    NotWaitingError,
    StaleCheckpointError,
    ThreadMovedError,
    UnknownInterruptError,
    told,
)
from hitl_nb.widgets import markup, terms, voting
from hitl_nb.widgets.card_frame import TELLS_NOBODY, CardFrame, Tells
from hitl_nb.widgets.controls import button, classed, close
from hitl_nb.widgets.drawing_panel import panel_for
from hitl_nb.widgets.panel import Extra, Panel
from hitl_nb.widgets.parts import shown
from hitl_nb.widgets.surface import Act, Held, Press
from hitl_nb.widgets.text_panel import TextPanel

_OVERTAKEN: Final = (AlreadyAnsweredError, UnknownInterruptError, NotWaitingError, ThreadMovedError, StaleCheckpointError)
"""What `submit` says of a question that is not open any more."""
_PLAIN: Final = "Your answer, as JSON"
_STACK_KEYS: Final = "np"  # next and previous, where the card lies in a stack


class Card(CardFrame):
    """One open question. `answered` is called with the decision after `submit` took the answer. `note` is HTML that stands below the question."""

    def __init__(
        self,
        request: Request,
        submit: Callable[[Any], Decision | Vote | None],
        answered: Callable[[Request, Decision], None],
        *,
        tells: Tells = TELLS_NOBODY,
        note: str = "",
        grab: bool = False,
        now: Callable[[], datetime] = utc_now,
        lock: RLock | None = None,
    ) -> None:
        super().__init__(request, tells=tells, note=note, grab=grab, now=now, lock=lock)
        self._submit, self._answered = submit, answered
        form = request.form
        self._comment = classed(ipywidgets.Textarea(description=form.comment_label, rows=1), "hitl-nb-comment") if form.comment else None
        self._foot.children = (*([self._comment] if self._comment else []), *self._foot.children)
        self._surface.on_press(self._pressed)
        self._surface.on_act(self._acted)
        self._numbers = count()
        self._presses: dict[int, Option] = {}
        """The answer buttons that are drawn now, by number."""
        self._senders: list[Any] = []
        self._extras: dict[str, Any] = {}
        self._as_recorded: dict[str, str] = {}
        """What was filled in when a vote was given: it is recorded."""
        self._plain: Any = None  # for a front end that cannot draw the panel's tree
        if form.control == "table":
            self.box.add_class("hitl-nb-wide")
        if self._comment is not None:
            self._comment.observe(lambda _: self._typed(), "value")
        self._use(self._first_panel())

    def _first_panel(self) -> Panel:
        return panel_for(self.request)

    def _use(self, panel: Panel) -> None:
        """Draw the card with this panel."""
        self._panel = panel
        panel.changed, panel.use = self._typed, self._use
        self._text = panel if isinstance(panel, TextPanel) else None
        self._editing: Option | None = next((o for o in panel.form.options if panel.form.control == "editor"), None)
        old, self._plain = self._plain, self._plain_field()
        middle = [w for w in (panel.view, panel.widget, self._plain) if w is not None]
        self.box.children = (self._read, self._surface, *middle, self._foot, self._lost)
        if old is not None:
            close(old)
        if self._comment is not None:
            self._comment.layout.display = None if panel.form.comment else "none"
        self._draw()

    def _plain_field(self) -> Any:
        if not self._panel.tree():
            return None
        field = classed(ipywidgets.Textarea(description=_PLAIN), "hitl-nb-undressed hitl-nb-json")
        field.observe(lambda _: self._typed(), "value")
        return field

    # -- what is drawn

    def _draw(self) -> None:
        form = self._panel.form
        types = form.control in ("text", "json") or self._editing is not None
        subject = self._editing is None
        until = terms.deadline(self.request, self._now())
        notes = [*voting.notes(self.request), self._note, markup.note(until) if until else ""]
        parts = [*notes, *shown(form, subject=subject)]
        self._drawn_late = terms.is_late(self.request, self._now())
        state, word = self._standing()
        self._read.value = markup.head(state, word, markup.where(self.request), markup.when(self.request, self._now())) + markup.body(
            self.request, *parts, instruction=True
        )
        if self._text is not None:
            self._text.widget.layout.display = None if types else "none"
        self._senders = []
        before, self._row.children = self._row.children, tuple(self._buttons())
        for old in before:
            close(old)
        self._refresh()

    @property
    def _verb(self) -> str:
        """What its buttons do with an answer."""
        return "send"

    def _standing(self) -> tuple[str, str]:
        """The state in the header, and its word."""
        return terms.state(self.request, self._now())

    def _buttons(self) -> list[Any]:
        form, edits = self._panel.form, self._editing
        self._presses.clear()
        self._extras.clear()
        if form.control == "buttons" and edits is not None:
            if edits.weight != "primary":
                return [self._button(edits, "Send edit", "primary", sends_now=True), button("Discard edit", self._discard, look="quiet")]
            # what most people press opens the editor: the other answers must not be a step further away because of it
            others = [self._button(o, o.label, "danger" if o.weight == "danger" else "", sends_now=True) for o in form.options if not o.edits]
            return [self._button(edits, edits.label, "primary", sends_now=True), *others, button("Discard edit", self._discard, look="quiet")]
        taken = set(_STACK_KEYS)
        made = []
        for option in form.options:
            key = next((c for c in option.label.lower() if c.isascii() and c.isalnum() and c not in taken), "")
            taken.add(key)
            look = "" if option.weight == "neutral" else option.weight
            opens = form.control == "buttons" and option.edits
            drawn = self._button(option, option.label, look, key="" if form.control != "buttons" else key, sends_now=not opens)
            made.append(classed(drawn, "hitl-nb-nth") if form.control == "buttons" else drawn)
        for extra in self._panel.extras():
            self._extras[extra.act] = button(extra.label, lambda act=extra.act: self._acted(Act(act, "", None, {})))  # type: ignore[misc]
            made.append(self._extras[extra.act])
        return made

    def _button(self, option: Option, label: str, look: str, *, key: str = "", sends_now: bool) -> Any:
        made = button(
            label,
            (lambda: self._send(option)) if sends_now else (lambda: self._edit(option)),
            look=look,
            key=key,
            tooltip="" if sends_now is False or self._panel.form.shape == "text" else self._preview(option),
        )
        if not sends_now:
            return made
        number = next(self._numbers)
        self._presses[number] = option
        self._senders.append(made)
        return classed(made, f"hitl-nb-send hitl-nb-press-{number}")

    def _preview(self, option: Option) -> str:
        text = self._text.text if self._text is not None else None
        try:
            return f"Sends {sends(self._panel.form, option.value, text=text, comment=self._commented)}"
        except InvalidAnswerError:
            return ""

    def _refresh(self) -> None:
        """The panel, the buttons' words and the small line, as they are now."""
        self._surface.tree = list(self._panel.tree())
        for extra in self._panel.extras():
            self._relabel(extra)
        late = terms.is_late(self.request, self._now())
        blocked = "" if self._plain is not None and self._plain.value.strip() else self._panel.blocked()
        barred = "No answer is taken after the deadline." if late else voting.BARRED if self.request.barred else ""
        reason = barred or blocked
        for sender in self._senders:
            sender.disabled = bool(reason)
        self._surface.invalid = "main" if self._panel.is_wrong() else ""
        form, option = self._panel.form, self._editing
        typing = option is not None or form.control in ("text", "json")
        if option is not None and self._text is not None:
            self._text.compare()
        said = escape(barred or self._panel.line() or reason)
        if form.inferred and not said:
            exact = self._preview(option).removeprefix("Sends ") if option is not None and form.shape != "text" else ""
            said = f"Sends <code>{escape(exact)}</code>" if exact else self._sends_any()
        hint = f"<kbd>Ctrl</kbd> <kbd>Enter</kbd> {self._verb}"
        self._line.value = markup.line(said, hint if typing or self._plain is not None else "")

    def _relabel(self, extra: Extra) -> None:
        drawn = self._extras.get(extra.act)
        if drawn is not None:
            drawn.description, drawn.disabled = extra.label, not extra.enabled

    def _sends_any(self) -> str:
        words = escape(sends(self._panel.form))
        return f"Sends {words}" if self._panel.form.shape == "text" else f"Sends <code>{words}</code>"

    # -- what a person does

    @property
    def _commented(self) -> str:
        return self._comment.value if self._comment is not None else ""

    def _pressed(self, press: Press) -> None:
        """An answer button, with what the fields hold; a button that is no longer drawn does nothing."""
        with self._lock:
            option = self._presses.get(press.number)
            if self.state != "open" or option is None:
                self._too_late(option, press.page)
                return
            if not self._take(press):
                return
            if self._panel.late:
                self._surface.echo(lambda: self._send_now(press))
                return
        self._send(option, dressed=True, page=press.page)

    def _take(self, held: Held) -> bool:
        """What the page holds is what counts. False: it cannot be read, and the card says why."""
        text = None if self._text is None else self._text.field
        for field, value in ((text, held.text), (self._comment, held.comment)):
            if field is not None and value is not None and field.value != value:
                field.value = value
        return self._guarded(lambda: self._panel.take(held.fields))

    def _send_now(self, press: Press) -> None:
        with self._lock:
            option = self._presses.get(press.number)
        if option is not None:
            self._send(option, dressed=True, page=press.page)

    def _acted(self, act: Act) -> None:
        """Something in the panel was used."""
        with self._lock:
            if self.state != "open":
                return
            if act.name == "due":
                self._guarded(self._fall_due)
                return
            focus: list[str | None] = []

            def use() -> None:
                self._panel.take(act.fields)
                focus.append(self._panel.act(act))
                self._refresh()

            if self._guarded(use) and focus[0]:
                self._surface.focus(focus[0])

    def _guarded(self, use: Callable[[], None]) -> bool:
        """A panel that raises says so on the card: a callback's traceback reaches no cell."""
        try:
            use()
        except InvalidAnswerError as error:
            self._refuse(error)
        except Exception as error:  # noqa: BLE001
            self._say_problem(told(error), "")
        else:
            return True
        return False

    def _typed(self) -> None:
        with self._lock:
            if self.state == "open":
                self._refresh()

    def _edit(self, option: Option) -> None:
        with self._lock:
            if self.state == "open" and self._text is not None:
                self._editing = option
                self._draw()
                self._text.field.focus()

    def _discard(self) -> None:
        with self._lock:
            if self.state == "open" and self._text is not None:
                self._editing = None
                self._text.discard()
                self._draw()

    def _send(self, option: Option, *, dressed: bool = False, page: str = "") -> None:
        with self._lock:
            if self.state != "open":
                self._too_late(option, page)
                return
            if self._text is not None and self._editing is option and option.weight != "primary" and self._text.is_unchanged:
                self._say_problem("Nothing changed yet.", "main")
                return
            if (self._plain is None or dressed) and (reason := self._panel.blocked()):
                self._say_problem(reason, "")
                return
            self.state, self.tried, self.sent_by = "sending", option.label, page
            self.box.add_class("hitl-nb-sending")
        try:
            answer = self._answer(option, dressed=dressed)
        except InvalidAnswerError as error:
            self._reopen(partial(self._refuse, error, dressed=dressed))
            return
        except Exception as error:  # noqa: BLE001
            self._reopen(partial(self._broken, error))
            return
        try:
            made = self._submit(answer)
        except InvalidAnswerError as error:
            self._reopen(partial(self._refuse, error, dressed=dressed))
        except (DeadlinePassedError, NotEntitledError) as error:
            self._reopen(partial(self._draw_saying, markup.problem(str(error))))
        except _OVERTAKEN as error:
            self._lose(error)
        except Exception as error:  # noqa: BLE001 - shown where the person looks: a callback's traceback reaches no cell
            self._reopen(partial(self._say_problem, told(error), ""))
        except BaseException:  # Interrupt: if the answer was recorded nevertheless, the next press is told so
            self._reopen(self._refresh)
            raise
        else:
            self._taken(made)

    def _taken(self, made: Decision | Vote | None) -> None:
        """None: the answer is kept, to be sent later. A vote: it counts, and the question waits for more reviewers; what was filled in stays."""
        if made is None:
            self._reopen(self._refresh)
        elif isinstance(made, Vote):
            self.request, self._as_recorded = voting.with_vote(self.request, made), self._filled
            self._reopen(partial(self._draw_saying, markup.line(escape(voting.recorded(self.request, made)))))
        else:
            with self._lock:
                self.state = "sent"
            self._answered(self.request, made)

    def _draw_saying(self, line: str) -> None:
        self._draw()
        self._line.value = line

    def _answer(self, option: Option, *, dressed: bool) -> Any:
        if self._plain is None or dressed:
            return self._panel.answer(option, self._commented)
        try:
            filled = read_json(self._plain.value)
        except JsonTextError as error:
            raise InvalidAnswerError(f"this is no JSON. {error} Write the whole answer as JSON", path=[]) from None
        return build_answer(self._panel.form, option.value, filled=filled, comment=self._commented)

    def _broken(self, error: Exception) -> None:
        """The answer could not be read. Another panel takes over where there is one, and nothing is sent."""
        other = self._panel.instead(error)
        if other is not None:
            self._use(other)
        else:
            self._say_problem(told(error), "")

    def _refuse(self, error: InvalidAnswerError, *, dressed: bool = True) -> None:
        """Say at its field, and below the buttons, why the answer was not taken."""
        if self._plain is not None and not dressed:
            self._say_problem(str(error), "")
            return
        if error.path[:1] == ["comment"] and self._comment is not None:
            self._say_problem(str(error), "comment")
            return
        words, focus = self._panel.refuse(error)
        self._surface.tree = list(self._panel.tree())
        self._say_problem(words, "main")
        if focus:
            self._surface.focus(focus)

    def _lose(self, error: HitlError) -> None:
        """The question is open no more."""
        with self._lock:
            self.state = "over"
        if self._tells.overtaken is not None:
            self._tells.overtaken(self, error)

    @property
    def unsent(self) -> dict[str, str]:
        """What a person typed here, by the name of the field."""
        return {name: text for name, text in self._filled.items() if self._as_recorded.get(name) != text}

    @property
    def _filled(self) -> dict[str, str]:
        return {**self._panel.unsent, **({"comment": self._commented} if self._commented else {})}
