"""Actions to be decided one by one: each with its arguments, a choice, and what the choice needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from hitl_nb.decisions.action_review import ActionReview, ActionState, Argument
from hitl_nb.decisions.actions import Verb, asked_actions, fact_key
from hitl_nb.decisions.request import Option, Request
from hitl_nb.decisions.wording import label, readable
from hitl_nb.errors import InvalidAnswerError
from hitl_nb.widgets.markup import is_long
from hitl_nb.widgets.panel import Extra, Panel
from hitl_nb.widgets.surface import Act
from hitl_nb.widgets.tree import Node, h, icon

_TONES: Final[dict[Verb, str]] = {"approve": "ok", "edit": "link", "reject": "bad", "respond": "link"}


class ActionsPanel(Panel):
    """The fields are `v-N` for the choice about the N-th action, `m-N` for its message, `a-N-K` for its K-th argument."""

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        asked = asked_actions(request.payload)
        assert asked is not None, "the form has this control only for a payload with actions"
        self.review = ActionReview(asked)
        shown = {fact_key(asked, n) for n in range(len(asked.actions))}
        self.form = replace(request.form, facts={k: v for k, v in request.form.facts.items() if k not in shown})

    # -- drawn

    def tree(self) -> Sequence[Node]:
        return [h("div", {"class": "hitl-nb-actions"}, [self._action(n, state) for n, state in enumerate(self.review.states)])]

    def _action(self, n: int, state: ActionState) -> Node:
        action = state.action
        number = f"{n + 1}. " if len(self.review.states) > 1 else ""
        return h(
            "div",
            {
                "id": f"action-{n}",
                "class": f"hitl-nb-action{' hitl-nb-rej' if state.verb == 'reject' else ''}",
                "role": "group",
                "aria-labelledby": f"n-{n}",
            },
            h(
                "div",
                {"class": "hitl-nb-action-head"},
                h("div", {"id": f"n-{n}", "class": "hitl-nb-action-name"}, number, h("code", {}, action.name)),
                self._choices(n, state),
            ),
            h("p", {"class": "hitl-nb-note"}, action.description) if action.description else None,
            [self._field(n, k, state, argument) for k, argument in enumerate(state.arguments)] if state.verb == "edit" else self._facts(state),
            self._message(n, state) if self.review.asked.takes_message(state.verb) else None,
        )

    def _choices(self, n: int, state: ActionState) -> Node:
        parts = []
        for verb in state.action.allowed:
            radio = {
                "id": f"{verb}-{n}", "type": "radio", "name": f"v-{n}", "value": verb, "checked": state.verb == verb, "rev": state.verb,
                "data-f": f"v-{n}", "data-act": "choose", "data-arg": n,
            }  # fmt: skip
            parts.append(h("label", {"class": f"hitl-nb-tone-{_TONES[verb]}"}, h("input", radio), self.review.asked.title(verb)))
        return h("div", {"class": "hitl-nb-verbs", "role": "radiogroup", "aria-label": f"Decision about {state.action.name}"}, parts)

    def _facts(self, state: ActionState) -> Node:
        if not state.action.args:
            return h("p", {"class": "hitl-nb-note"}, "No arguments")
        return h("dl", {"class": "hitl-nb-facts"}, [self._fact(name, value) for name, value in state.action.args.items()])

    @staticmethod
    def _fact(name: str, value: Any) -> list[Node]:
        text = readable(value)
        return [
            h("dt", {}, label(name)),
            h("dd", {"tabindex": "0" if is_long(text) else None}, text or h("span", {"class": "hitl-nb-mut"}, "empty")),
        ]

    def _field(self, n: int, k: int, state: ActionState, argument: Argument) -> Node:
        id_ = f"a-{n}-{k}"
        problem = state.refused.get(argument.name) or argument.problem
        mark = h("span", {"class": "hitl-nb-changed"}, "changed") if argument.is_changed else None
        note = "" if argument.is_text else "as JSON"
        return h(
            "div",
            {"id": f"f-{id_}", "class": "hitl-nb-arg"},
            h("label", {"for": id_, "class": "hitl-nb-cap"}, label(argument.name) or "Arguments", f" ({note})" if note else "", " ", mark),
            self._area(id_, argument.raw, "argument", problem, code=not argument.is_text),
            self._problem(id_, problem),
            self._before(argument),
        )

    @staticmethod
    def _before(argument: Argument) -> Node | None:
        """What a changed argument was."""
        if not argument.is_changed:
            return None
        old = h("del", {}, argument.start) if argument.start else h("span", {"class": "hitl-nb-mut"}, "empty")
        return h("div", {"class": "hitl-nb-before"}, h("span", {"class": "hitl-nb-mut"}, "was "), old)

    def _message(self, n: int, state: ActionState) -> Node:
        words = "Reason (optional)" if state.verb == "reject" else "Response"
        problem = state.refused.get("message", "")
        return h(
            "div",
            {"id": f"f-m-{n}", "class": "hitl-nb-arg"},
            h("label", {"for": f"m-{n}", "class": "hitl-nb-cap"}, words),
            self._area(f"m-{n}", state.message, "message", problem),
            self._problem(f"m-{n}", problem),
        )

    @staticmethod
    def _area(id_: str, text: str, act: str, problem: str, *, code: bool = False) -> Node:
        told = {"aria-invalid": "true", "aria-describedby": f"p-{id_}"} if problem else {}
        look = {"class": "hitl-nb-code" if code else None, "spellcheck": "false" if code else None}
        return h("textarea", {"id": id_, "rows": 1, "value": text, "data-f": id_, "data-act": act, "data-on": "input", **look, **told})

    @staticmethod
    def _problem(id_: str, problem: str) -> Node | None:
        return h("p", {"id": f"p-{id_}", "class": "hitl-nb-bad hitl-nb-why"}, icon("bad"), problem) if problem else None

    # -- used

    def act(self, act: Act) -> str | None:
        if act.name == "rest":
            self.review.approve_rest()
        self.review.forget_refusals()
        return None

    def take(self, fields: Mapping[str, Any]) -> None:
        for n, state in enumerate(self.review.states):
            self.review.choose(n, fields.get(f"v-{n}"))
            for k, argument in enumerate(state.arguments):
                argument.raw = _text(fields.get(f"a-{n}-{k}"), argument.raw)
            state.message = _text(fields.get(f"m-{n}"), state.message)

    def extras(self) -> Sequence[Extra]:
        return tuple(self._extras())

    def _extras(self) -> Iterator[Extra]:
        if sum("approve" in state.action.allowed for state in self.review.states) < 2:
            return
        verb, rest = self.review.asked.title("approve"), self.review.rest
        count = f"all {rest}" if rest == len(self.review.states) else f"the other {rest}" if rest else "the others"
        yield Extra("rest", f"{verb} {count}", rest > 0)

    def blocked(self) -> str:
        return self.review.missing

    def line(self) -> str:
        """What is decided so far; once nothing is open, what is still missing."""
        return self.review.told if self.review.still_open and len(self.review.states) > 1 else self.review.missing or self.review.told

    def answer(self, option: Option, comment: str) -> Any:
        return self.review.answer()

    def refuse(self, error: InvalidAnswerError) -> tuple[str, str]:
        place = self.review.refuse(error)
        if place is None:
            return error.reason or str(error), ""
        n, name = place
        state = self.review.states[n]
        if name == "message":
            return f"Check: {state.action.name}", f"m-{n}"
        k = next(k for k, argument in enumerate(state.arguments) if argument.name == name)
        return f"Check: {label(name) or 'Arguments'} of {state.action.name}", f"a-{n}-{k}"

    @property
    def unsent(self) -> Mapping[str, str]:
        told = self.review.unsent
        return {"decisions": told} if told else {}


def _text(value: Any, otherwise: str) -> str:
    return value if isinstance(value, str) else otherwise
