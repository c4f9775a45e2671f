"""Actions that an agent wants to run, decided one by one: the payloads of LangChain's middleware and of LangGraph's earlier agent inbox.

::

    {"action_requests": [{"name", "args", "description"?}, …],         {"decisions": [{"type": "approve"} | {"type": "edit", "edited_action":
     "review_configs": [{"action_name", "allowed_decisions"}, …]}      {"name", "args"}} | {"type": "reject", "message"?} |
                                                                       {"type": "respond", "message"}, …]}
    [{"action_request": {"action", "args"}, "config": {"allow_accept", [{"type": "accept" | "ignore", "args": None} | {"type": "response", "args":
     "allow_edit", "allow_respond", "allow_ignore"}, "description"}]   message} | {"type": "edit", "args": {"action", "args"}}, …]
    one such request, without the list                                 one such answer, without the list
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NoReturn

from hitl_nb.decisions.problems import of_schema
from hitl_nb.decisions.wording import label, readable
from hitl_nb.errors import InvalidAnswerError, shown

Verb = Literal["approve", "edit", "reject", "respond"]
VERBS: Final[tuple[Verb, ...]] = ("approve", "edit", "reject", "respond")
_NAMED_MAX: Final = 5
"""Actions that a message names."""
ACTIONS_MAX: Final = 100
"""Actions that are drawn one by one; more of them are answered as JSON."""
_OLD: Final[dict[Verb, str]] = {"approve": "accept", "edit": "edit", "reject": "ignore", "respond": "response"}
"""What the agent inbox calls them."""
_DONE: Final = {
    "approve": "approved",
    "accept": "accepted",
    "edit": "edited",
    "reject": "rejected",
    "ignore": "ignored",
    "respond": "answered",
    "response": "answered",
}
"""The types of a decision about an action, in words."""
_FLAGS: Final[dict[Verb, str]] = {"approve": "allow_accept", "edit": "allow_edit", "reject": "allow_ignore", "respond": "allow_respond"}


@dataclass(frozen=True, slots=True)
class Action:
    """One action that waits for a decision."""

    name: str
    args: Mapping[str, Any]
    description: str = ""
    allowed: tuple[Verb, ...] = VERBS
    """The decisions that its graph understands, in the order of `VERBS`."""
    schema: Mapping[str, Any] | None = None
    """The JSON Schema of edited arguments, where the payload has one."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided about one action."""

    verb: Verb
    args: Mapping[str, Any] | None = None
    """edit: the arguments to run it with."""
    message: str = ""
    """reject, respond: what the agent is told."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The actions of a payload."""

    actions: tuple[Action, ...]
    shape: Literal["decisions", "list", "one"]
    """decisions: the middleware's. list and one: the agent inbox's."""
    rest: Mapping[Any, Any]
    """What else the payload holds."""

    def word(self, verb: Verb) -> str:
        """What the answer calls it."""
        return verb if self.shape == "decisions" else _OLD[verb]

    def title(self, verb: Verb) -> str:
        """The words of its button: the agent inbox's `response` is the verb Respond."""
        return label(verb if verb == "respond" else self.word(verb))

    def takes_message(self, verb: Verb | None) -> bool:
        return verb == "respond" or (verb == "reject" and self.shape == "decisions")


def asked_actions(payload: Any) -> Asked | None:
    """The actions that this payload asks about; None when it asks otherwise, or in a way that is not known."""
    if isinstance(payload, Mapping) and isinstance(payload.get("action_requests"), (list, tuple)):
        configs = payload.get("review_configs")
        made = [_action(one, _allowed(one, configs), _schema(one, configs)) for one in payload["action_requests"]]
        return _asked(made, "decisions", {k: v for k, v in payload.items() if k not in ("action_requests", "review_configs")})
    if isinstance(payload, Mapping) and isinstance(payload.get("action_request"), Mapping):
        rest = {k: v for k, v in payload.items() if k not in ("action_request", "config", "description")}
        return _asked([_of_inbox(payload)], "one", rest)
    if (
        isinstance(payload, (list, tuple))
        and payload
        and all(isinstance(p, Mapping) and isinstance(p.get("action_request"), Mapping) for p in payload)
    ):
        return _asked([_of_inbox(one) for one in payload], "list", {})
    return None


def _asked(made: Sequence[Action | None], shape: Literal["decisions", "list", "one"], rest: Mapping[Any, Any]) -> Asked | None:
    actions = tuple(action for action in made if action is not None and action.allowed)
    return Asked(actions, shape, rest) if actions and len(actions) == len(made) else None


def _action(one: Any, allowed: tuple[Verb, ...], schema: Mapping[str, Any] | None = None, description: Any = None) -> Action | None:
    if not isinstance(one, Mapping):
        return None
    name = _name(one)
    args = one.get("args", one.get("arguments", {}))
    if not name or not isinstance(args, Mapping) or not all(isinstance(key, str) for key in args):
        return None
    described = description if description is not None else one.get("description")
    return Action(name, args, described if isinstance(described, str) else "", allowed, schema)


def _name(one: Any) -> str:
    names = (one.get(key) for key in ("name", "action")) if isinstance(one, Mapping) else ()
    return next((name for name in names if isinstance(name, str) and name), "")


def _config(one: Any, configs: Any) -> Mapping[Any, Any] | None:
    """What the payload says about reviewing this action."""
    if isinstance(configs, Mapping):
        found = configs.get(_name(one))
        return found if isinstance(found, Mapping) else None
    listed = configs if isinstance(configs, (list, tuple)) else ()
    return next((c for c in listed if isinstance(c, Mapping) and c.get("action_name") == _name(one)), None)


def _allowed(one: Any, configs: Any) -> tuple[Verb, ...]:
    """Empty for decisions that are not known: then nobody can say here what the graph expects."""
    config = _config(one, configs)
    listed = None if config is None else config.get("allowed_decisions")
    if config is None or listed is None:
        return VERBS if config is None or "allowed_responses" not in config else ()
    if not isinstance(listed, (list, tuple)) or any(word not in VERBS for word in listed):
        return ()
    return tuple(verb for verb in VERBS if verb in listed)


def _schema(one: Any, configs: Any) -> Mapping[str, Any] | None:
    schema = (_config(one, configs) or {}).get("args_schema")
    return schema if isinstance(schema, Mapping) else None


def _of_inbox(one: Mapping[Any, Any]) -> Action | None:
    config = one.get("config")
    allowed = tuple(verb for verb in VERBS if config.get(_FLAGS[verb]) is True) if isinstance(config, Mapping) else VERBS
    return _action(one["action_request"], allowed, None, one.get("description"))


# -- shown -----------------------------------------------------------------------------------------------------------------------------


def heading(asked: Asked) -> str:
    return f"Run {asked.actions[0].name}?" if len(asked.actions) == 1 else f"Run {len(asked.actions)} actions?"


def facts(asked: Asked) -> dict[str, str]:
    """Each action with its description, its arguments and, where they are limited, its decisions: what a terminal and a receipt show."""
    told = {}
    for n, action in enumerate(asked.actions):
        limits = ", ".join(map(asked.word, action.allowed)) if action.allowed != VERBS else ""
        lines = [action.description, readable(action.args) if action.args else "no arguments", f"Decisions: {limits}" if limits else ""]
        told[fact_key(asked, n)] = "\n".join(filter(None, lines))
    return told


def fact_key(asked: Asked, n: int) -> str:
    return f"{n + 1}. {asked.actions[n].name}"


def done(word: str) -> str:
    """The type of a decision as a word for what was decided: `approved`."""
    return _DONE.get(word, word)


# -- the answer ------------------------------------------------------------------------------------------------------------------------


def answer_of(asked: Asked, decided: Sequence[Decided]) -> Any:
    """The answer in the words of the payload, one decision an action, in order."""
    if asked.shape == "decisions":
        return {"decisions": [_decision(action, one) for action, one in zip(asked.actions, decided, strict=True)]}
    answers = [_response(action, one) for action, one in zip(asked.actions, decided, strict=True)]
    return answers if asked.shape == "list" else answers[0]


def _decision(action: Action, one: Decided) -> dict[str, Any]:
    if one.verb == "edit":
        return {"type": "edit", "edited_action": {"name": action.name, "args": dict(one.args or {})}}
    return {"type": one.verb} | ({"message": one.message} if one.message or one.verb == "respond" else {})


def _response(action: Action, one: Decided) -> dict[str, Any]:
    args: Any = None
    if one.verb == "edit":
        args = {"action": action.name, "args": dict(one.args or {})}
    elif one.verb == "respond":
        args = one.message
    return {"type": _OLD[one.verb], "args": args}


def skeleton(asked: Asked) -> Any:
    """An answer of the right shape that decides nothing."""
    if asked.shape == "decisions":
        return {"decisions": [{"type": None} for _ in asked.actions]}
    answers = [{"type": None, "args": None} for _ in asked.actions]
    return answers if asked.shape == "list" else answers[0]


def examples(asked: Asked) -> list[Any]:
    """Answers for an answers file: the same decision for every action, as far as it is allowed for all."""
    common = [verb for verb in VERBS if all(verb in action.allowed for action in asked.actions)]
    ways = [[verb] * len(asked.actions) for verb in common] or [[action.allowed[0] for action in asked.actions]]
    return [answer_of(asked, [_example(action, verb) for action, verb in zip(asked.actions, verbs, strict=True)]) for verbs in ways]


def _example(action: Action, verb: Verb) -> Decided:
    return Decided(verb, action.args, "…" if verb == "respond" else "")


def is_meant_as_actions(asked: Asked, answer: Any) -> bool:
    """Whether this answer speaks of the actions; one of another shape is the graph's own affair."""
    if asked.shape == "list":
        return isinstance(answer, (list, tuple)) and any(isinstance(one, Mapping) and "type" in one for one in answer)
    return isinstance(answer, Mapping) and ("decisions" if asked.shape == "decisions" else "type") in answer


def check_actions(asked: Asked, answer: Any, validator_of: Callable[[Mapping[str, Any]], Any]) -> None:
    """Whether every action has a decision that is allowed for it. Raises InvalidAnswerError with `path` and `reason`."""
    place: list[str | int] = ["decisions"] if asked.shape == "decisions" else []
    given = answer["decisions"] if asked.shape == "decisions" else [answer] if asked.shape == "one" else answer
    if not isinstance(given, (list, tuple)):
        _refuse(f"answer['decisions'] is {shown(given, 80)}; expected a list with one decision for each action", place)
    if len(given) != len(asked.actions):
        names = ", ".join(action.name for action in asked.actions[:_NAMED_MAX]) + (", …" if len(asked.actions) > _NAMED_MAX else "")
        _refuse(f"it decides {len(given)} actions, and {len(asked.actions)} are asked about ({names})", place)
    for n, (action, one) in enumerate(zip(asked.actions, given, strict=True)):
        _check_one(asked, action, one, [*place, n] if asked.shape != "one" else [], validator_of)


def _check_one(asked: Asked, action: Action, one: Any, place: list[str | int], validator_of: Callable[[Mapping[str, Any]], Any]) -> None:
    words = ", ".join(repr(asked.word(verb)) for verb in action.allowed)
    if not isinstance(one, Mapping) or "type" not in one:
        _refuse(f"the decision about {action.name!r} is {shown(one, 80)}; expected {{'type': …}} with one of {words}", place)
    verb = next((verb for verb in action.allowed if asked.word(verb) == one["type"]), None)
    if verb is None:
        _refuse(f"{action.name!r} is decided with {shown(one['type'], 60)}; expected one of {words}", [*place, "type"])
    if verb == "edit":
        key, name = ("edited_action", "name") if asked.shape == "decisions" else ("args", "action")
        edited = one.get(key)
        if not isinstance(edited, Mapping) or not isinstance(edited.get(name), str) or not isinstance(edited.get("args"), Mapping):
            _refuse(f"the edit of {action.name!r} has {key!r} {shown(edited, 80)}; expected {{{name!r}: …, 'args': {{…}}}}", [*place, key])
        _check_args(action, edited["args"], [*place, key, "args"], validator_of)
    elif verb == "respond" or (verb == "reject" and asked.shape == "decisions"):
        key = "message" if asked.shape == "decisions" else "args"
        message = one.get(key)
        if not isinstance(message, str) and (verb == "respond" or message is not None):
            _refuse(f"the {asked.word(verb)} to {action.name!r} has {key!r} {shown(message, 80)}; expected a text", [*place, key])


def _check_args(action: Action, args: Mapping[str, Any], place: list[str | int], validator_of: Callable[[Mapping[str, Any]], Any]) -> None:
    if action.schema is None:
        return
    try:
        found = of_schema(validator_of(action.schema).iter_errors(dict(args)))
    except Exception:  # noqa: BLE001  a schema that is none binds nothing
        return
    if found:
        at = "".join(f"[{part!r}]" for part in found[0].path)
        _refuse(f"the arguments of {action.name!r} do not fit{f' at {at}' if at else ''}: {found[0].message}", [*place, *found[0].path])


def _refuse(why: str, path: list[str | int]) -> NoReturn:
    raise InvalidAnswerError(why, path=path, reason=why)
