"""The drawn request: reads its controls, makes the answer from the form, hands it to `submit`. Holds no logic of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from html import escape
from itertools import count
from threading import RLock
from typing import Any, Final, Literal

import ipywidgets

from hitl_nb.checkpoint.records import Decision
from hitl_nb.decisions.answering import build_answer, sends
from hitl_nb.decisions.request import Option, Request
from hitl_nb.errors import AlreadyAnsweredError, DeadlinePassedError, InvalidAnswerError
from hitl_nb.responders.base import Submit
from hitl_nb.widgets import markup, times
from hitl_nb.widgets.diff import side_by_side
from hitl_nb.widgets.surface import Surface

State = Literal["open", "sending", "sent", "elsewhere"]
_KEYS_HINT: Final = "<kbd>Ctrl</kbd> <kbd>Enter</kbd> send"
_LOST: Final = '<div class="hitl-nb-lost"><b>This card lost its kernel.</b> The question is stored. Run the cell again to answer it.</div>'


def utc_now() -> datetime:
    return datetime.now(UTC)


def classed(widget: Any, classes: str) -> Any:
    for name in classes.split():
        widget.add_class(name)
    return widget


def button(label: str, press: Callable[[], None], *, look: str = "", key: str = "", tooltip: str = "") -> Any:
    """A button of a card. `look`: primary, danger, quiet or nothing."""
    names = " ".join(filter(None, ("hitl-nb-btn", f"hitl-nb-{look}" if look else "", f"hitl-nb-key-{key}" if key else "")))
    made = classed(ipywidgets.Button(description=label, tooltip=tooltip or None), names)
    made.on_click(lambda _: press())
    return made


def close(widget: Any) -> None:
    """Free a widget with everything in it; call it once it is out of the page."""
    for child in getattr(widget, "children", ()):
        close(child)
    for own in ("layout", "style"):
        if hasattr(widget, own):
            getattr(widget, own).close()
    widget.close()


class Card:
    """One open question. `box` is the widget to put into the page.

    `answered` is called with the decision after `submit` took the answer. May be used from any thread: updates are made under one lock.
    """

    def __init__(
        self,
        request: Request,
        submit: Submit,
        answered: Callable[[Request, Decision], None],
        *,
        grab: bool = False,
        now: Callable[[], datetime] = utc_now,
        lock: RLock | None = None,
    ) -> None:
        self.request = request
        self.state: State = "open"
        self._submit, self._answered, self._now = submit, answered, now
        self._lock = lock or RLock()
        form = request.form
        self._editing: Option | None = next((o for o in form.options if form.control == "editor"), None)
        self._read = ipywidgets.HTML()
        self._text = self._main_field()
        self._changes = ipywidgets.HTML()
        self._middle = classed(ipywidgets.VBox([*([self._text] if self._text else []), self._changes]), "hitl-nb-edit")
        self._comment = classed(ipywidgets.Textarea(description=form.comment_label, rows=1), "hitl-nb-comment") if form.comment else None
        self._row = classed(ipywidgets.HBox(), "hitl-nb-row")
        self._line = classed(ipywidgets.HTML(), "hitl-nb-live")
        self._foot = classed(ipywidgets.VBox([*([self._comment] if self._comment else []), self._row, self._line]), "hitl-nb-foot")
        self._surface = Surface(label=form.heading, grab=grab)
        self._surface.on_press(self._pressed)
        self._numbers = count()
        self._presses: dict[int, Option] = {}
        """The answer buttons that are drawn now, by number."""
        self.box = classed(
            ipywidgets.VBox([self._read, self._middle, self._foot, ipywidgets.HTML(_LOST), self._surface]),
            "hitl-nb-card",
        )
        for field in filter(None, (self._text, self._comment)):
            field.observe(self._typed, "value")
        self._draw()

    # -- what is drawn

    def _main_field(self) -> Any:
        form = self.request.form
        if form.control == "buttons" and not any(o.edits for o in form.options):
            return None
        label, value, look = {
            "text": ("Your answer", "", "typed"),
            "json": ("Your answer, as JSON", form.template, "json"),
        }.get(form.control, ("Your edit", form.subject or "", "json" if form.parse else "editor"))
        return classed(ipywidgets.Textarea(value=value, description=label), f"hitl-nb-main hitl-nb-{look}")

    def _draw(self) -> None:
        form = self.request.form
        types = form.control in ("text", "json") or self._editing is not None
        asks = "you" if self.request.question.assignee is None else self.request.question.assignee
        subject = form.subject is not None and self._editing is None
        parts = [markup.facts(form.facts), markup.text(form.subject_label, form.subject or "", code=form.parse) if subject else ""]
        self._read.value = markup.head(
            "open", f"Waiting for {asks}", markup.where(self.request), markup.when(self.request, self._now())
        ) + markup.body(self.request, *parts, instruction=True)
        self._middle.layout.display = None if types else "none"
        before, self._row.children = self._row.children, tuple(self._buttons())
        for old in before:
            close(old)
        self._say()

    def _buttons(self) -> list[Any]:
        form, edits = self.request.form, self._editing
        self._presses.clear()
        if form.control == "buttons" and edits is not None:
            label = edits.label if edits.weight == "primary" else "Send edit"
            return [self._button(edits, label, "primary", sends_now=True), button("Discard edit", self._discard, look="quiet")]
        taken: set[str] = set()
        made = []
        for option in form.options:
            key = next((c for c in option.label.lower() if c.isascii() and c.isalnum() and c not in taken), "")
            taken.add(key)
            look = "" if option.weight == "neutral" else option.weight
            opens = form.control == "buttons" and option.edits
            made.append(self._button(option, option.label, look, key="" if form.control != "buttons" else key, sends_now=not opens))
        return made

    def _button(self, option: Option, label: str, look: str, *, key: str = "", sends_now: bool) -> Any:
        made = button(
            label,
            (lambda: self._send(option)) if sends_now else (lambda: self._edit(option)),
            look=look,
            key=key,
            tooltip="" if sends_now is False or self.request.form.shape == "text" else self._preview(option),
        )
        if not sends_now:
            return made
        number = next(self._numbers)
        self._presses[number] = option
        return classed(made, f"hitl-nb-send hitl-nb-press-{number}")

    def _preview(self, option: Option) -> str:
        try:
            return f"Sends {sends(self.request.form, option.value, text=self._value(self._text), comment=self._value(self._comment) or '')}"
        except InvalidAnswerError:
            return ""

    def _say(self) -> None:
        """The small line, and in edit mode the comparison."""
        form, option = self.request.form, self._editing
        typing = option is not None or form.control in ("text", "json")
        if option is not None and self._text is not None:
            same = self._edited() == form.subject
            compared = "" if same else side_by_side(form.subject or "", self._text.value)
            self._changes.value = f'<div class="hitl-nb-cap">{"No changes yet" if same else "Changes"}</div>{compared}'
        said = ""
        if form.inferred:
            exact = self._preview(option).removeprefix("Sends ") if option is not None and form.shape != "text" else ""
            said = f"Sends <code>{escape(exact)}</code>" if exact else self._sends_any()
        self._line.value = markup.line(said, _KEYS_HINT if typing else "")
        self._surface.invalid = ""

    def _sends_any(self) -> str:
        words = escape(sends(self.request.form))
        return f"Sends {words}" if self.request.form.shape == "text" else f"Sends <code>{words}</code>"

    # -- what a person does

    @staticmethod
    def _value(field: Any) -> str | None:
        return None if field is None else field.value

    def _pressed(self, number: int, text: str | None, comment: str | None) -> None:
        """An answer button, with what the fields hold; a button that is no longer drawn does nothing."""
        with self._lock:
            option = self._presses.get(number)
            if self.state != "open" or option is None:
                return
            for field, value in ((self._text, text), (self._comment, comment)):
                if field is not None and value is not None and field.value != value:
                    field.value = value
        self._send(option)

    def _typed(self, _: Any) -> None:
        with self._lock:
            if self.state == "open":
                self._say()

    def _edit(self, option: Option) -> None:
        with self._lock:
            if self.state == "open":
                self._editing = option
                self._draw()
                self._text.focus()

    def _discard(self) -> None:
        with self._lock:
            if self.state == "open":
                self._editing = None
                self._text.value = self.request.form.subject or ""
                self._draw()

    def _send(self, option: Option) -> None:
        with self._lock:
            if self.state != "open":
                return
            text = self._edited()
            if self._editing is option and option.weight != "primary" and text == self.request.form.subject:
                self._refuse("Nothing changed yet.", "main")
                return
            self.state = "sending"
            self.box.add_class("hitl-nb-sending")
        try:
            answer = build_answer(self.request.form, option.value, text=text, comment=self._value(self._comment) or "")
            decision = self._submit(answer)
        except InvalidAnswerError as error:
            self._reopen(str(error), "comment" if error.path[:1] == ["comment"] and self._comment is not None else "main")
        except DeadlinePassedError as error:
            self._reopen(str(error), "")
        except AlreadyAnsweredError as error:
            self.show_elsewhere(error.reviewer, error.answered_at)
        except Exception as error:  # noqa: BLE001 - shown where the person looks: a callback's traceback reaches no cell
            self._reopen(f"{type(error).__name__}: {error}", "")
        else:
            with self._lock:
                self.state = "sent"
            self._answered(self.request, decision)

    def _edited(self) -> str | None:
        """The field's text, with the line ends of the original: a browser's text field turns them all into a bare newline."""
        text, subject = self._value(self._text), self.request.form.subject or ""
        if text is None or "\r\n" not in subject:
            return text
        return text.replace("\r\n", "\n").replace("\n", "\r\n")

    def _refuse(self, message: str, field: str) -> None:
        self._line.value = markup.problem(message)
        self._surface.invalid = field

    def _reopen(self, message: str, field: str) -> None:
        with self._lock:
            self.state = "open"
            self.box.remove_class("hitl-nb-sending")
            self._refuse(message, field)

    def show_elsewhere(self, reviewer: str | None, at: datetime | None, answer: str = "") -> None:
        """Say that somebody else was first. What was typed here stays readable."""
        with self._lock:
            self.state = "elsewhere"
            self.box.remove_class("hitl-nb-sending")
            told = {"Answer": answer, "By": reviewer or "", "When": times.absolute(at) if at else ""}
            kept = [markup.text(f"Your {name}, not sent", text) for name, text in self.unsent.items()]
            self._read.value = markup.head("ok", "Answered elsewhere", markup.where(self.request)) + markup.body(
                self.request, markup.facts({k: v for k, v in told.items() if v}), *kept, instruction=False
            )
            self._middle.layout.display = self._foot.layout.display = "none"

    @property
    def unsent(self) -> dict[str, str]:
        """What a person typed here, by the name of the field."""
        form = self.request.form
        text, comment = self._value(self._text) or "", self._value(self._comment) or ""
        return {n: v for n, v in (("text", "" if text in (form.subject, form.template) else text), ("comment", comment)) if v}
