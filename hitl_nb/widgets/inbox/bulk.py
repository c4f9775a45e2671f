"""The card that answers many questions at once: a choice, a comment, and a list of exactly what will be recorded, before the button that does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import RLock
from typing import Any, Final

import ipywidgets

from hitl_nb.checkpoint.voting import Vote
from hitl_nb.decisions.answering import sends
from hitl_nb.decisions.request import Option, Request
from hitl_nb.decisions.wording import cut, plural
from hitl_nb.errors import HitlError, InvalidAnswerError
from hitl_nb.waiting.together import Together, answers
from hitl_nb.widgets.controls import classed
from hitl_nb.widgets.inbox.answers import Given, Made
from hitl_nb.widgets.outcome import done
from hitl_nb.widgets.surface import Act, Surface
from hitl_nb.widgets.tree import Node, h, icon

_HEADING_MAX: Final = 160


class Bulk:
    """`box` is the widget to put into the page.

    record: has these answers recorded elsewhere, and tells this card by `recorded` and `finished`. leave: the person is done with it.
    """

    def __init__(self, those: Together, record: Callable[[Given], None], leave: Callable[..., None], *, lock: RLock) -> None:
        self._those, self._record, self._leave, self._lock = those, record, leave, lock
        self._choice: Option | None = None
        self._comment = ""
        self._problem = ""
        self._counted: tuple[int, int] | None = None
        """How many of how many are recorded; None: none was sent yet."""
        self._results: Sequence[tuple[Request, Made]] | None = None
        self._surface = Surface(label=self._title, grab=True)
        self._surface.on_act(self._acted)
        self.box = classed(ipywidgets.VBox([self._surface]), "hitl-nb-card hitl-nb-bulk")
        self._draw()

    # -- what is told from outside

    def recorded(self, count: int, total: int) -> None:
        with self._lock:
            self._counted = count, total
            self._draw()

    def finished(self, results: Sequence[tuple[Request, Made]]) -> None:
        with self._lock:
            self._results = results
            self._draw()
            self._surface.focus("done")

    # -- what a person does

    @property
    def is_busy(self) -> bool:
        return self._counted is not None and self._results is None

    def _acted(self, act: Act) -> None:
        with self._lock:
            if self.is_busy:
                return
            if act.name == "leave":
                self._leave(done=self._results is not None)
            elif self._results is None:
                self._fill(act)

    def _fill(self, act: Act) -> None:
        comment = act.fields.get("comment")
        self._comment = comment if isinstance(comment, str) else ""
        options = self._those.options
        if act.name == "choose" and act.arg.isdecimal() and int(act.arg) < len(options):
            self._choice = options[int(act.arg)]
        self._problem = ""
        if act.name == "send" and self._choice is not None:
            self._send(self._choice)
        self._draw()

    def _send(self, option: Option) -> None:
        try:
            made = answers(self._those.meant, option, self._comment)
        except InvalidAnswerError as error:
            self._problem = str(error)
            return
        given = [(request, answer) for request, answer, why in made if not why]
        if given:
            self._counted = 0, len(given)
            self._record(given)

    # -- what is drawn

    @property
    def _title(self) -> str:
        return f"Answer {plural(len(self._those.meant), 'question')} together"

    def _draw(self) -> None:
        with self._surface.hold_sync():
            self._surface.label = self._title
            self._surface.invalid = ""
            self._surface.tree = self._choosing() if self._results is None else self._told(self._results)

    def _choosing(self) -> list[Node]:
        those, option = self._those, self._choice
        made: list[tuple[Request, Any, str]] = [(r, None, "") for r in those.meant]
        problem, sent = self._problem, ""
        if option is not None:
            try:
                made = answers(those.meant, option, self._comment)
                sent = sends(those.meant[0].form, option.value, comment=self._comment)
            except InvalidAnswerError as error:
                problem = problem or str(error)
        out = [*((r, why) for r, _, why in made if why), *those.left_out]
        good = [r for r, _, why in made if not why]
        return [
            h(
                "div",
                {"class": "hitl-nb-head", "id": "head"},
                h("span", {"class": "hitl-nb-st hitl-nb-open"}, icon("open"), "One answer for many"),
                h("span", {"class": "hitl-nb-where"}, good[0].question.origin) if good else None,
            ),
            h(
                "div",
                {"class": "hitl-nb-body", "id": "body"},
                h("div", {"class": "hitl-nb-q", "role": "heading", "aria-level": "3"}, self._title),
                self._options() if those.options else None,
                self._comment_field() if those.takes_comment else None,
                self._preview(good, option),
                _left_out(out),
            ),
            self._foot(len(good), option, problem, sent),
        ]

    def _options(self) -> Node:
        def one(n: int, option: Option) -> Node:
            tone = {"danger": "bad", "primary": "ok"}.get(option.weight, "link")
            own = {"type": "radio", "name": "choice", "value": n, "checked": option is self._choice, "disabled": self.is_busy, "rev": "one"}
            return h(
                "label", {"class": f"hitl-nb-tone-{tone}", "id": f"o-{n}"}, h("input", own | {"data-act": "choose", "data-arg": n}), option.label
            )

        verbs = h("div", {"class": "hitl-nb-verbs", "id": "verbs"}, (one(n, o) for n, o in enumerate(self._those.options)))
        return h("fieldset", {"class": "hitl-nb-f-set", "id": "set"}, h("legend", {"class": "hitl-nb-cap"}, "Answer all with"), verbs)

    def _comment_field(self) -> Node:
        label = self._those.meant[0].form.comment_label
        own = {
            "id": "comment",
            "data-f": "comment",
            "data-act": "comment",
            "data-on": "input",
            "rows": 1,
            "disabled": self.is_busy,
            "value": "",
            "rev": "1",
        }
        return h("div", {"id": "of-comment"}, h("label", {"class": "hitl-nb-cap", "for": "comment"}, label), h("textarea", own))

    def _preview(self, good: Sequence[Request], option: Option | None) -> Node | None:
        if not good:
            return None
        words = "→ to be chosen" if option is None else f"→ {option.label}"
        tone = "mut" if option is None else "bad" if option.weight == "danger" else "ok"
        caption = f"{plural(len(good), 'question')} will be answered"
        rows = (_one(r, h("span", {"class": f"hitl-nb-{tone}"}, words)) for r in good)
        return _listed("meant", caption, rows)

    def _foot(self, count: int, option: Option | None, problem: str, sent: str) -> Node:
        danger = option is not None and option.weight == "danger"
        label = f"{option.label} {plural(count, 'question')}" if option is not None else f"Answer {plural(count, 'question')}"
        look = "hitl-nb-danger" if danger else "hitl-nb-primary"
        blocked = not count or option is None or bool(problem) or self.is_busy
        buttons = [
            h("button", {"class": f"hitl-nb-btn {look}", "id": "send", "data-act": "send", "disabled": blocked}, label),
            h("button", {"class": "hitl-nb-btn hitl-nb-quiet", "id": "leave", "data-act": "leave", "disabled": self.is_busy}, "Cancel"),
        ]
        if self._counted is not None:
            count, total = self._counted
            bar = h("progress", {"class": "hitl-nb-share", "max": total, "value": count, "aria-label": "Recorded"})
            said: list[Node] = [h("span", {}, f"Recorded {count:,} of {total:,}"), bar]
        elif problem:
            said = [h("span", {"class": "hitl-nb-bad"}, f"Not sent. {problem}")]
        else:
            said = [h("span", {}, "Sends ", h("code", {}, sent), " to each") if sent else h("span", {}, "Choose an answer." if count else "")]
        line = h("div", {"class": "hitl-nb-line hitl-nb-live", "id": "line", "role": "status"}, said)
        return h("div", {"class": "hitl-nb-foot", "id": "foot"}, h("div", {"class": "hitl-nb-row"}, buttons), line)

    def _told(self, results: Sequence[tuple[Request, Made]]) -> list[Node]:
        taken = [r for r, one in results if not isinstance(one, HitlError)]
        votes = sum(isinstance(one, Vote) for _, one in results)
        refused = [(r, str(one)) for r, one in results if isinstance(one, HitlError)]
        assert self._choice is not None
        word = done(self._choice.label)
        said = f"{word}: {plural(len(taken), 'question')} recorded" + (f", {len(refused):,} not" if refused else "")
        said += f"; {votes:,} of them stay open until more reviewers have given the same answer" if votes else ""
        return [
            h("div", {"class": "hitl-nb-head", "id": "head"}, h("span", {"class": "hitl-nb-st hitl-nb-ok"}, icon("ok"), "Recorded")),
            h(
                "div",
                {"class": "hitl-nb-body", "id": "body"},
                h("div", {"class": "hitl-nb-q", "role": "heading", "aria-level": "3"}, said),
                _left_out(refused, "Not recorded"),
            ),
            h(
                "div",
                {"class": "hitl-nb-foot", "id": "foot"},
                h("div", {"class": "hitl-nb-row"}, h("button", {"class": "hitl-nb-btn hitl-nb-primary", "id": "done", "data-act": "leave"}, "Go on")),
            ),
        ]


def _left_out(those: Sequence[tuple[Request, str]], words: str = "Left out") -> Node | None:
    if not those:
        return None
    caption = f"{words}: {plural(len(those), 'question')}"
    return _listed("out", caption, (_one(request, h("span", {"class": "hitl-nb-bad"}, why)) for request, why in those))


def _listed(name: str, caption: str, rows: Any) -> Node:
    own = {"class": "hitl-nb-bulk-list", "id": f"{name}-rows", "tabindex": 0, "role": "region", "aria-label": caption}
    return h("div", {"id": name}, h("div", {"class": "hitl-nb-cap"}, caption), h("div", own, h("ul", {}, rows)))


def _one(request: Request, verdict: Node) -> Node:
    q = request.question
    return h("li", {}, h("span", {}, cut(request.form.heading, _HEADING_MAX), " \u2002", h("code", {}, q.thread_id)), verdict)
