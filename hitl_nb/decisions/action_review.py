"""Deciding about actions one by one, before the answer is sent: what is chosen, what is typed, what is still missing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hitl_nb.decisions.actions import Action, Asked, Decided, Verb, answer_of, done
from hitl_nb.decisions.json_text import JsonTextError, read_json, rounded
from hitl_nb.decisions.line_ends import bare, ended_like
from hitl_nb.decisions.wording import pretty_json, readable
from hitl_nb.errors import InvalidAnswerError

ALL: Final = ""
"""The name of the one field of an action without arguments: all of them, as JSON."""


@dataclass(slots=True)
class Argument:
    """An argument while it is edited: a text as it is, anything else as JSON."""

    name: str
    original: Any
    raw: str = ""
    """What the field holds."""
    start: str = ""
    """What it held at first."""

    @classmethod
    def of(cls, name: str, value: Any) -> Argument:
        text = value if isinstance(value, str) else pretty_json(value)
        return cls(name, value, text, text)

    @property
    def is_text(self) -> bool:
        return isinstance(self.original, str)

    @property
    def is_changed(self) -> bool:
        """Whether the value is another one; how its JSON is laid out does not count."""
        if bare(self.raw) == bare(self.start):
            return False
        if self.is_text:
            return True
        try:
            return _same(read_json(self.raw), self.original) is False
        except JsonTextError:
            return True

    @property
    def problem(self) -> str:
        """Why it cannot be sent; empty when it can."""
        if self.is_text or not self.is_changed:
            return ""
        try:
            value = read_json(self.raw)
        except JsonTextError as error:
            return str(error) if self.raw.strip() else "Empty. Write null for no value."
        if changed := rounded(self.raw):
            return f"Has more digits than are kept: {changed[0]}."
        return "" if self.name != ALL or isinstance(value, dict) else "Write the arguments as an object in braces."

    @property
    def value(self) -> Any:
        """The original itself unless it was changed, so that no number is written anew."""
        if not self.is_changed:
            return self.original
        if self.is_text:
            return ended_like(self.original, self.raw)
        return read_json(self.raw)


@dataclass(slots=True)
class ActionState:
    """One action with what a person did to it so far."""

    action: Action
    verb: Verb | None = None
    arguments: list[Argument] = field(default_factory=list)
    message: str = ""
    refused: dict[str, str] = field(default_factory=dict)
    """What the check said, by the name of the argument; by "message" what it said of that."""

    @property
    def is_changed(self) -> bool:
        return any(a.is_changed for a in self.arguments)

    @property
    def args(self) -> Mapping[str, Any]:
        if self.arguments[0].name == ALL:
            whole = self.arguments[0].value
            return whole if isinstance(whole, dict) else {}
        return {a.name: a.value for a in self.arguments}


class ActionReview:
    """Nothing is chosen at first."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.states = [
            ActionState(action, None, [Argument.of(k, v) for k, v in action.args.items()] or [Argument.of(ALL, {})]) for action in asked.actions
        ]

    # -- what a person does

    def choose(self, n: int, verb: Any) -> None:
        """What is not allowed for the action is not taken."""
        state = self.states[n]
        state.verb = next((v for v in state.action.allowed if v == verb), state.verb)

    def approve_rest(self) -> None:
        for state in self._approvable():
            state.verb = "approve"

    def forget_refusals(self) -> None:
        for state in self.states:
            state.refused.clear()

    # -- how it stands

    @property
    def still_open(self) -> int:
        return sum(state.verb is None for state in self.states)

    @property
    def rest(self) -> int:
        """Undecided actions that may be approved."""
        return len(self._approvable())

    def _approvable(self) -> list[ActionState]:
        return [state for state in self.states if state.verb is None and "approve" in state.action.allowed]

    @property
    def missing(self) -> str:
        """Why the decisions cannot be sent yet, the first reason; empty when they can."""
        if self.still_open:
            return f"{self.still_open} open" if len(self.states) > 1 else "Choose what is to happen"
        for n, state in enumerate(self.states):
            name = state.action.name if len({s.action.name for s in self.states}) == len(self.states) else f"{n + 1}. {state.action.name}"
            if state.verb == "edit" and any(a.problem for a in state.arguments):
                return f"{name}: {next(f'{a.name}: {a.problem}' if a.name else a.problem for a in state.arguments if a.problem)}"
            if state.verb == "edit" and not state.is_changed:
                return f"{name}: no argument is changed yet"
            if state.verb == "respond" and not state.message.strip():
                return f"{name}: the response is empty"
        return ""

    @property
    def told(self) -> str:
        """`1 edited, 1 rejected, 2 open`, in the words of a receipt."""
        counts = Counter(done(self.asked.word(state.verb)) for state in self.states if state.verb is not None)
        parts = [f"{n} {word}" for word, n in counts.items()] if len(self.states) > 1 else [word.capitalize() for word in counts]
        return ", ".join([*parts, *([f"{self.still_open} open"] if self.still_open else [])])

    def answer(self) -> Any:
        """Raises InvalidAnswerError when something is missing."""
        if self.missing:
            raise InvalidAnswerError(self.missing, path=[], reason=self.missing)
        return answer_of(self.asked, [self._decided(state) for state in self.states])

    def _decided(self, state: ActionState) -> Decided:
        assert state.verb is not None
        message = state.message.strip() if self.asked.takes_message(state.verb) else ""
        return Decided(state.verb, state.args if state.verb == "edit" else None, message)

    def refuse(self, error: InvalidAnswerError) -> tuple[int, str] | None:
        """Keep what the check said at its place: the number of the action and the name of the argument (or "message"); None when it has no place."""
        path = list(error.path)
        if self.asked.shape == "decisions":
            path = path[1:]
        n = path.pop(0) if self.asked.shape != "one" and path else 0
        if not isinstance(n, int) or not 0 <= n < len(self.states):
            return None
        state = self.states[n]
        # What leads to an argument is two keys long: edited_action and args, or args and args.
        if len(path) > 2:
            name = next((a.name for a in state.arguments if a.name in (path[2], ALL)), None)
        else:
            name = "message" if path[-1:] in (["message"], ["args"]) else None
        if name is None:
            return None
        state.refused[name] = error.reason or str(error)
        return n, name

    @property
    def unsent(self) -> str:
        """What was chosen and typed, as text."""
        told: dict[str, Any] = {}
        for n, state in enumerate(self.states):
            if state.verb is not None:
                changed = {a.name or "arguments": a.raw for a in state.arguments if a.is_changed} if state.verb == "edit" else {}
                said = {"message": state.message} if self.asked.takes_message(state.verb) and state.message else {}
                told[f"{n + 1}. {state.action.name}"] = {"decision": self.asked.word(state.verb), **changed, **said}
        return readable(told) if told else ""


def _same(one: Any, other: Any) -> bool:
    def plain(value: Any) -> str:
        return json.dumps(value, sort_keys=True, default=readable)

    try:
        return plain(one) == plain(other)
    except (TypeError, ValueError):
        return False
