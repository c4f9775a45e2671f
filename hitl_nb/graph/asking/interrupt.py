"""`interrupt()`: pause the node that runs, and return the answer when it runs again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hitl_nb.checkpoint.records import UNSET, Asked, Event, PlannedTask, Question, Withdrawn, fingerprint
from hitl_nb.checkpoint.serde import Serde
from hitl_nb.decisions.check import answer_schema, remember_schema, typed_answer
from hitl_nb.decisions.pictures import with_pictures
from hitl_nb.decisions.reviewer import checked_name
from hitl_nb.errors import NoCheckpointerError, OutsideNodeError, QuestionChangedError, SwallowedInterruptError
from hitl_nb.graph.asking.deadlines import asks_others, with_terms
from hitl_nb.graph.asking.sameness import asks_the_same
from hitl_nb.graph.crossing import current_task
from hitl_nb.graph.emit import Emit
from hitl_nb.graph.node.kept import Kept, once_running
from hitl_nb.graph.node.runtime import Runtime
from hitl_nb.graph.topology import Planned, pulled_task
from hitl_nb.graph.types import Command

if TYPE_CHECKING:
    from hitl_nb.graph.run import Run


def interrupt(
    value: Any,
    *,
    schema: Any = None,
    response_schema: Any = None,
    key: str | None = None,
    deadline: datetime | timedelta | None = None,
    default: Any = UNSET,
    assignee: str | None = None,
    escalate_to: str | None = None,
    four_eyes: str | Sequence[str] | None = None,
    quorum: int = 1,
) -> Any:
    """Ask a person, and return the answer.

    The first call stores the question and pauses the node: the graph returns, and when the answer is there the node runs again from
    its top, this call then returns the answer. A node that asks n questions runs n + 1 times: do expensive work in a node of its own, or in `once`.

    value: the payload, what the reviewer sees; anything the checkpointer can store. Plots, PIL images and other objects that draw themselves are
        stored as a `Picture`, also inside lists, tuples and dicts.
    schema (or response_schema): a pydantic model, dataclass, TypedDict, Enum, Literal, builtin type or JSON Schema dict. Answers are checked
        against it before they are recorded, and come back as an instance of it.
    key: a name for this question, for answers files.
    deadline: an aware datetime, or a timedelta from now: until when it can be answered, this instant included. It is taken when the question is asked
        first, and stored with it in UTC. Later answers, scripted ones too, raise DeadlinePassedError; nothing else happens by itself, see
        `graph.expire`.
    assignee: who is asked: a reviewer's name or a role. It is information; where the store has a reviewers file, nobody else may answer then.
    escalate_to: who is asked next when the deadline passes, for as long again.
    default: the answer that `graph.expire` records when the deadline passes and there is nobody (more) to ask; it must be a valid one.
    four_eyes: who asked for the approval, one name or several: they may not give it. Their answer raises NotEntitledError.
    quorum: how many reviewers have to give the same answer. Each has one vote, a later one of the same reviewer replaces it; the vote that completes
        the quorum is the answer. Names are compared in any case.

    Raises NotSerializableError when the payload cannot be stored, PictureError when a picture in it is too large, NoCheckpointerError when the
    graph has no checkpointer, OutsideNodeError when no node runs, QuestionChangedError when the node asks something else than what was answered,
    GraphError for a deadline that has passed already and for a default that could never be an answer.
    """
    scope = current_scope.get()
    if scope is None:
        raise _outside()
    if schema is not None and response_schema is not None:
        raise TypeError("interrupt() got schema= and response_schema=; they are the same, give one")
    terms = {"deadline": deadline, "default": default, "assignee": assignee, "escalate_to": escalate_to, "four_eyes": four_eyes, "quorum": quorum}
    return scope.ask(value, schema=schema if schema is not None else response_schema, key=key, terms=terms)


class Pause(BaseException):
    """The signal that unwinds a node that asks. A BaseException, so that `except Exception` cannot swallow it (semantics R3)."""

    def __init__(self, events: tuple[Event, ...], questions: tuple[Question, ...]) -> None:
        super().__init__("a node asks; this signal must reach the graph")
        self.events = events
        """What the pause means for the thread: questions asked, and questions at their place that no longer apply."""
        self.questions = questions


def _nobody(_: Emit) -> None:
    """Nobody listens."""


ToDo = PlannedTask | tuple[str, tuple[str, ...]] | tuple[Planned, int]
"""A task, or of what it is made when somebody looks: its node and the nodes whose edges led there, or its place in a superstep."""


class Scope:
    """What `interrupt()` of one node execution works on: the task's questions so far.

    One is made for each execution and few nodes look at it, so it is no dataclass: what has not happened costs nothing, what few need is made then.
    """

    eventful: bool = False
    """True once the node asked or ran a graph: only then is there more to it than that it was called."""
    alone: bool = False
    """True in a path function that is asked on its own."""
    position: int = 0
    ended: bool = False
    """True once the node has returned or raised."""
    pause: Pause | None = None
    asker: object = None
    """The thread or asyncio task in which `pause` was raised."""
    own: object = None
    """The asyncio task in which an async node runs."""
    refused: Exception | None = None
    """Why a question got no answer and cannot get one: a node that catches this must not end as if it had been answered."""
    tell: Callable[[Emit], None] = staticmethod(_nobody)
    """Hands an event to the run while the node runs; from any thread."""
    moved: bool = False
    """True when the state was updated since the task was planned: a changed question is asked anew instead of being an error."""
    handling: bool = False
    """True: the node's error handler runs, not the node itself."""
    waits_for: tuple[str, ...] = ()
    """The open questions of graphs inside the node that came to a stop."""
    left_open: Pause | None = None
    """What graphs inside the node had asked when another node of theirs raised."""
    commands: Mapping[int, Command] = MappingProxyType({})
    """The commands that graphs inside the node had for its own graph, by the order in which the node began those."""
    running: Mapping[Future[None], asyncio.Task[Any]] = MappingProxyType({})
    """Graphs that run inside the node as asyncio tasks of their own: what ends with each."""

    def __init__(self, run: Run, seq: int, task: ToDo) -> None:
        self.run = run
        self.seq = seq
        self.ledger = run.ledger
        self.questions: Mapping[str, Question] = run.questions
        """What the tasks have asked so far, by id."""
        self._task: Any = task

    @property
    def task(self) -> PlannedTask:
        if isinstance(self._task, tuple):
            of, which = self._task
            self._task = of[which] if isinstance(of, Planned) else pulled_task(self.run.checkpoint.nonce, self.seq, of, which)
        task: PlannedTask = self._task
        return task

    @property
    def host(self) -> Run | None:
        """The run that the node belongs to; None in a path function that is asked on its own."""
        return None if self.alone else self.run

    @property
    def serde(self) -> Serde | None:
        """None: no checkpointer, so nothing can pause."""
        return self.run.serde

    @property
    def thread_id(self) -> str:
        return self.run.thread_id

    # Made in one step, for graphs that the node runs in Python threads side by side must not take the same number.

    @property
    def calls(self) -> dict[str, Iterator[int]]:
        """The numbers of the graphs that the node runs inside itself, by where they are stored (the task, or the node's memory)."""
        made: dict[str, Iterator[int]] = self.__dict__.setdefault("_calls", {})
        return made

    @property
    def turns(self) -> Iterator[int]:
        """The numbers of all that it runs, stored or not."""
        made: Iterator[int] = self.__dict__.setdefault("_turns", count())
        return made

    @property
    def kept(self) -> Kept:
        """What `once` keeps."""
        made: Kept = self.__dict__.setdefault("_kept", Kept())
        return made

    def commanded(self, turn: int, command: Command) -> None:
        """A graph inside the node ended with a command for the node's own graph."""
        self.__dict__.setdefault("commands", {})[turn] = command

    def runtime(self) -> Runtime[Any]:
        """What the node may ask for."""
        return Runtime(self.run.context, self.write, self.run.config, self.thread_id, self.task.node, self.task.id)

    def write(self, event: Any, /) -> None:
        """A custom event for whoever streams the run, or looks on."""
        if self.host is None:
            return
        if self.host.watch is not None:
            self.host.watch.wrote(self.task.id, event)
        if "custom" in self.host.modes:
            self.tell(Emit("custom", event))

    def again(self) -> None:
        """Begin at the top: the node is to be called once more."""
        self.position, self.left_open = 0, None
        self.calls.clear()
        self.__dict__.pop("_turns", None)

    def stopped(self, events: tuple[Event, ...], questions: tuple[Question, ...], waits_for: tuple[str, ...] = ()) -> Pause:
        """The signal to raise when the node waits for the answers to these questions, or a graph inside it for those of `waits_for`."""
        self.waits_for += waits_for
        if self.pause is None:
            self.pause, self.asker = Pause(events, questions), _asker()
        else:  # two graphs inside one node, side by side
            self.pause = Pause((*self.pause.events, *events), (*self.pause.questions, *questions))
        return self.pause

    def not_while_paused(self) -> None:
        """Raise when the node has ended or has asked: the signal again for what runs side by side, for example in one TaskGroup; else an error."""
        if self.ended and self.pause is None:
            raise OutsideNodeError(
                f"node {self.task.node!r} has ended, but a Python thread or task that it left running asks or runs a graph; nobody can "
                f"answer it now. Wait for what the node starts before it returns",
                node=self.task.node,
                thread_id=self.thread_id,
            )
        if self.pause is not None:
            if _asker() != self.asker:  # its turn comes
                raise Pause(self.pause.events, self.pause.questions)
            raise SwallowedInterruptError(_swallowed(self.task.node), node=self.task.node, thread_id=self.thread_id) from self.pause

    def raised(self, events: tuple[Event, ...], questions: tuple[Question, ...]) -> None:
        """Keep what a graph inside the node asked before it raised."""
        before = ((), ()) if self.left_open is None else (self.left_open.events, self.left_open.questions)
        self.left_open = Pause((*before[0], *events), (*before[1], *questions))

    @property
    def asked_beside(self) -> bool:
        """True when what asked was another asyncio task of the node, so that the node itself need not have met the signal."""
        return self.pause is not None and isinstance(self.asker, asyncio.Task) and self.asker is not self.own

    def set_aside(self) -> None:
        """The node ends with an error: what graphs inside it asked beside that stays open, and no command counts."""
        if self.pause is not None:
            inside = tuple(e for e in self.pause.events if isinstance(e, Asked | Withdrawn) and e.owner)
            self.raised(inside, tuple(q for q in self.pause.questions if q.task_id != self.task.id))
        self.pause, self.waits_for, self.commands = None, (), {}

    def entered(self) -> Future[None]:
        """A graph begins to run inside the node; to be resolved when it has ended."""
        self.eventful = True
        ended: Future[None] = Future()
        task = current_task()
        if task is not None:
            running = self.__dict__.setdefault("running", {})
            running[ended] = task
            ended.add_done_callback(running.pop)
        return ended

    async def settled(self) -> None:
        """Wait for the graphs that go on beside a node that came to an end, as gathered ones do: they must not run on when it runs again."""
        loop, own = asyncio.get_running_loop(), asyncio.current_task()
        while others := [ended for ended, task in tuple(self.running.items()) if task is not own and not task.done() and task.get_loop() is loop]:
            await asyncio.wait([asyncio.wrap_future(ended) for ended in others])

    def ask(self, payload: Any, *, schema: Any, key: str | None, terms: Mapping[str, Any]) -> Any:
        self.not_while_paused()
        self.eventful = True
        if self.refused is not None:
            raise self.refused
        if self.serde is None:
            self.refused = NoCheckpointerError(
                f"node {self.task.node!r} called interrupt(), but the graph was compiled without a checkpointer, so the pause could not be "
                f"stored; use builder.compile(checkpointer=MemorySaver()) or DiskCacheSaver(folder)",
                node=self.task.node,
            )
            raise self.refused
        position, self.position = self.position, self.position + 1
        payload = with_pictures(payload)  # made anew in every run of the node, and of the same bytes
        digest = self.serde.digest(payload, "payload")
        asked = self.ledger.at(self.task.id, position)
        answered = self.ledger.answered.get(asked.interrupt_id) if asked else None
        # The clock and what is outside may read otherwise in each run; who may answer is a matter of the state, and an update may have changed that.
        others = asked is not None and (self.moved or asked.carried) and self._asks_others(asked, terms)
        same = asked is not None and not others and self._same(asked, digest, payload)
        if asked and answered and (same or (answered.rebind and not others)):
            answer = self.serde.loads(answered.answer)
            return answer if schema is None else typed_answer(schema, answer)
        # a graph inside, which the update did not change, has not moved itself
        if asked and answered and not (self.moved or asked.carried):
            self.refused = QuestionChangedError(
                self._changed(asked, position), node=self.task.node, thread_id=self.thread_id, interrupt_id=asked.interrupt_id
            )
            raise self.refused
        known = self.questions[asked.interrupt_id] if asked and same else None
        question = known or self._question(payload, schema, position, digest, key, self.serde, again=others)
        if schema is not None:
            remember_schema(question.id, schema)
        if known is None:
            question = self._with_terms(question, terms, self.serde)
        what = "others" if others else "something else"
        replaced = () if asked is None or same else (Withdrawn.of(asked, f"the node asks {what} after an update of the state"),)
        raise self.stopped((*replaced, Asked(self.task.id, position, question.id, question.digest)), (question,))

    def _asks_others(self, asked: Asked, terms: Mapping[str, Any]) -> bool:
        """True when the terms say otherwise than those of what was asked who may answer, or how many have to."""
        try:
            return asks_others(self.questions[asked.interrupt_id], **terms)
        except (TypeError, ValueError) as error:
            self.refused = error
            raise

    def _same(self, asked: Asked, digest: str, payload: Any) -> bool:
        """True when the payload is what was asked, or differs by readings of the clock only."""
        if asked.digest == digest or self.serde is None:
            return True
        if asked.carried:  # the state was updated since: a time that differs may be what the update changed
            return False
        stored = self.questions[asked.interrupt_id]
        return asks_the_same(stored.payload, payload, stored.created_at, self.run.now(), partial(self.serde.digest, path="payload"))

    def within_once(self, key: str) -> OutsideNodeError:
        """The error for a question asked by the function of `once(key, …)`. The node must not end as if it had been answered."""
        error = OutsideNodeError(
            f"interrupt() was called by the function of once({key!r}, …) in node {self.task.node!r}; what is to run once cannot wait for an answer. "
            f"Ask outside of it, and give the answer to the function",
            node=self.task.node,
            thread_id=self.thread_id,
        )
        self.refused, self.eventful = self.refused or error, True
        return error

    def _with_terms(self, question: Question, terms: Mapping[str, Any], serde: Serde) -> Question:
        try:
            question = with_terms(question, **terms)
            if question.default is not UNSET:  # as it is now; what cannot be stored fails here, in the node
                question = replace(question, default=serde.loads(serde.dumps(question.default, "default")))
        except (TypeError, ValueError) as error:
            self.refused = error
            raise
        return question

    def _question(self, payload: Any, schema: Any, position: int, digest: str, key: str | None, serde: Serde, *, again: bool) -> Question:
        if key is not None:
            checked_name("key", key)
        return Question(
            id=self._id(position, digest, again=again),
            thread_id=self.thread_id,
            node=self.task.node,
            task_id=self.task.id,
            position=position,
            digest=digest,
            # as it is now: the digest is over this, whatever becomes of the object before it is stored
            payload=serde.loads(serde.dumps(payload, "payload")),
            created_at=self.run.now(),
            schema=None if schema is None else serde.loads(serde.dumps(answer_schema(schema), "schema")),
            key=key,
            graph=self.run.graph,
            path=() if self.host is None else self.host.path,
        )

    def _id(self, position: int, digest: str, *, again: bool) -> str:
        """Stable while the same question is open; another one after each withdrawal or update, so that an old answer never fits.

        `again`: the one that is asked is withdrawn by this.
        """
        for asked in () if again else self.ledger.of_task(self.task.id):
            if (asked.position, asked.digest) == (position, digest):
                return asked.interrupt_id
        times = len(self.ledger.withdrawn.get((self.task.id, position), ())) + again
        return fingerprint(self.task.id, position, digest, *([times, self.seq] if times or self.moved else []))

    def _changed(self, asked: Asked, position: int) -> str:
        return (
            f"node {self.task.node!r} (thread {self.thread_id!r}) ran again and its question {position + 1} reads differently than the one "
            f"that was answered ({asked.interrupt_id}), so the answer was not delivered. Make the node ask the same until it returns (keep what "
            f"changes in the state), or discard the answer with graph.reopen(config, {asked.interrupt_id!r}) to ask again"
        )


def _outside() -> OutsideNodeError:
    if once := once_running.get():
        scope, key = once[-1]
        error: OutsideNodeError = scope.within_once(key)
        return error
    return OutsideNodeError("interrupt() was called where no node runs; call it inside a node, on the node's own thread or task")


def _asker() -> object:
    return current_task() or threading.get_ident()


current_scope: ContextVar[Scope | None] = ContextVar("hitl_nb_scope", default=None)


def node_scope() -> Scope | None:
    """The node execution that runs here, also inside the function of `once`, where `current_scope` is hidden."""
    running = once_running.get()
    return current_scope.get() or (running[-1][0] if running else None)


def check_not_swallowed(scope: Scope) -> None:
    """Raise SwallowedInterruptError when the node came to an end although it had asked."""
    if scope.pause is not None:
        raise SwallowedInterruptError(_swallowed(scope.task.node), node=scope.task.node, thread_id=scope.thread_id) from scope.pause
    if scope.commands:
        raise SwallowedInterruptError(
            f"node {scope.task.node!r} caught the signal of Command(graph=Command.PARENT), which a graph that it called had for the graph around (a "
            f"bare `except:` or `except BaseException`), and went on. Catch Exception instead, or re-raise hitl_nb's signal",
            node=scope.task.node,
            thread_id=scope.thread_id,
        )


def _swallowed(node: str) -> str:
    return (
        f"node {node!r} caught the pause signal of interrupt() (a bare `except:` or `except BaseException`) and went on; nothing was answered. "
        f"Catch Exception instead, or re-raise hitl_nb's signal"
    )
