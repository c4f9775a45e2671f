"""Every error and warning of the package, in one tree.

::

    HitlError
    ├── GraphError (ValueError)               the graph cannot be built or routed
    │   ├── UnknownNodeError                  a route leads to a node that does not exist
    │   └── GraphChangedError                 a stored thread needs a node or key the graph lost
    ├── NoCheckpointerError (RuntimeError)    a pause without anything to store it in
    ├── SwallowedInterruptError (RuntimeError) a node caught the pause signal
    ├── OutsideNodeError (RuntimeError)       interrupt() was called where no node runs
    ├── RecursionLimitError (RecursionError)  more supersteps than allowed
    ├── ConcurrentUpdateError (ValueError)    two writes to one key without a reducer
    ├── NodeOutputError (TypeError)           a node returned what is no update
    ├── InvalidStateError (ValueError)        the input, or what a node is to read, does not fit the state's class
    ├── NodeTimeoutError (TimeoutError)       a node took longer than it may
    ├── ThreadError                           what was asked does not fit the thread's state
    │   ├── UnknownThreadError (LookupError)
    │   ├── EmptyInputError (ValueError)
    │   ├── ThreadWaitingError (RuntimeError) new input while a question is open
    │   ├── ThreadInputError (ValueError)     review() of a thread that was started with other input
    │   ├── ThreadExistsError (ValueError)    a copy onto a thread that is there
    │   ├── ThreadBusyError (RuntimeError)    another process or thread runs it
    │   ├── ThreadMovedError (RuntimeError)   the thread changed under the caller
    │   └── StaleCheckpointError (ValueError) an answer for a checkpoint that was left behind
    ├── AnswerError                           an answer that was not taken; the question is as it was
    │   ├── InvalidAnswerError (ValueError)
    │   ├── AlreadyAnsweredError (RuntimeError)
    │   ├── DeadlinePassedError (TimeoutError) an answer that came too late
    │   ├── NotEntitledError (PermissionError) somebody who may not answer it did
    │   ├── UnknownInterruptError (LookupError)
    │   ├── AmbiguousAnswerError (ValueError)
    │   ├── NotWaitingError (RuntimeError)
    │   ├── QuestionChangedError (RuntimeError) a re-executed node asks something else
    │   ├── MissingAnswerError (LookupError)  headless, and nothing answers
    │   └── StillWaitingError (TimeoutError)  a person has not answered yet
    ├── AnswersFileError (ValueError)         the scripted answers cannot be read
    ├── ReviewersFileError (ValueError)       who may answer cannot be read, so nobody may
    ├── CasesError (ValueError)               the cases of a batch cannot be read, or do not fit together
    ├── NotebookFailedError (RuntimeError)    a notebook that ran headless did not get to its end
    ├── OutputError (OSError)                 what a run leaves behind cannot be written
    ├── NotSerializableError (TypeError)      a value that cannot be stored
    ├── PictureError (ValueError)             no picture, or one that is too large
    ├── RendererError (TypeError)             what cannot draw questions, or what a renderer drew cannot be shown
    └── StoreError (OSError)
        ├── UnknownTypeError (LookupError)    a stored value of a class that is not loaded
        ├── CorruptStoreError                 a record is missing, short or altered
        └── StoreVersionError                 written by a newer hitl_nb

Each pickles, so that it crosses a process pool, and carries what it is about as attributes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def shown(value: object, most: int = 200) -> str:
    """A value as an error message shows it: its repr, at most so many characters of it; its type alone when it has none."""
    try:
        text = repr(value).encode("utf-8", "backslashreplace").decode()
    except Exception:  # noqa: BLE001  # a repr of the user's, or a number of too many digits; the message must come out all the same
        return f"<{type(value).__name__}, which cannot be shown>"
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"


def said(error: BaseException, tell: Callable[[BaseException], str] = str) -> str:
    """What an exception says, as a text that can be stored and shown; also of one whose own code raises when it is asked."""
    try:
        return tell(error).encode("utf-8", "backslashreplace").decode()
    except Exception as unspeakable:  # noqa: BLE001  # code of the error's own class; that it was raised must be told all the same
        return f"<it cannot be told: {type(unspeakable).__name__}>"


def told(error: BaseException) -> str:
    """`ValueError: 3.5 stars`: what an exception is and says."""
    return f"{type(error).__name__}: {said(error)}"


def utc(at: datetime) -> str:
    """`2026-11-20 09:41:07 UTC`: a time as an error message says it."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


class HitlError(Exception):
    """Root of the tree. `thread_id`, `node` and `interrupt_id` are None where they do not apply."""

    def __init__(
        self,
        message: str = "",
        *,
        thread_id: str | None = None,
        node: str | None = None,
        interrupt_id: str | None = None,
        **details: Any,
    ) -> None:
        super().__init__(message)
        self.thread_id = thread_id
        self.node = node
        self.interrupt_id = interrupt_id
        for name, value in details.items():
            setattr(self, name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), str(self), dict(self.__dict__)))


def _rebuild(cls: type[HitlError], message: str, attributes: dict[str, Any]) -> HitlError:
    error = cls(message)
    error.__dict__.update(attributes)
    return error


class GraphError(HitlError, ValueError):
    """The graph cannot be built: the message names the node or edge."""


class UnknownNodeError(GraphError):
    """A route (edge, path function, `Command(goto=…)`) leads to a node that does not exist."""


class GraphChangedError(GraphError):
    """The stored thread waits at a node, or holds a state key, that the graph no longer has. Nothing was run, and no answer was recorded.

    `removed_nodes`, `removed_keys`: what the thread needs and the graph lost. `added_nodes`: what the graph has and had not then.
    """

    removed_nodes: tuple[str, ...] = ()
    added_nodes: tuple[str, ...] = ()
    removed_keys: tuple[str, ...] = ()


class NoCheckpointerError(HitlError, RuntimeError):
    """A pause was reached, or set at compile, with no checkpointer to store it in."""


class SwallowedInterruptError(HitlError, RuntimeError):
    """A node caught the pause signal of `interrupt()` (a bare `except` or `except BaseException`)."""


class OutsideNodeError(HitlError, RuntimeError):
    """`interrupt()` was called where no node of a graph runs."""


class RecursionLimitError(HitlError, RecursionError):
    """The run took more supersteps than `recursion_limit`."""


class ConcurrentUpdateError(HitlError, ValueError):
    """Two tasks of one superstep wrote a key that has no reducer."""


class NodeOutputError(HitlError, TypeError):
    """A node returned something that is neither None, a mapping nor a Command, or that does not fit the state. `key`: the state key it is about."""

    key: str | None = None


class InvalidStateError(HitlError, ValueError):
    """Values do not fit the class they are for: the input, the context, or the state as a node is to read it. `key`: the first one that does not."""

    key: str | None = None


class NodeTimeoutError(HitlError, TimeoutError):
    """An async node took longer than the `timeout` it was added with, and was cancelled."""


class ThreadError(HitlError):
    """What was asked does not fit the state the thread is in; the thread is as it was."""


class UnknownThreadError(ThreadError, LookupError):
    """The store holds no thread of this name."""


class EmptyInputError(ThreadError, ValueError):
    """A new thread was started without input."""


class ThreadWaitingError(ThreadError, RuntimeError):
    """New input came while the thread has an open question."""


class ThreadInputError(ThreadError, ValueError):
    """`review()` was called for an existing thread with an input that is not the stored one."""


class ThreadExistsError(ThreadError, ValueError):
    """A thread was to be copied to the name of one that exists; nothing was copied."""


class ThreadBusyError(ThreadError, RuntimeError):
    """Another process or Python thread runs this thread. `answer_recorded`: True when an answer given in the same call is safely stored."""

    answer_recorded: bool = False


class ThreadMovedError(ThreadError, RuntimeError):
    """The thread got a new checkpoint between reading and writing; read again and decide again."""


class StaleCheckpointError(ThreadError, ValueError):
    """An answer was given for a checkpoint that the thread has left behind."""


class AnswerError(HitlError):
    """An answer that was not taken. The question is as it was before."""


class InvalidAnswerError(AnswerError, ValueError):
    """The answer does not fit the question. `path`: where in the answer, as a list of keys and indices. `reason`: what does not fit, alone.

    `problems`: of a form everything that does not fit, each with its `path` and `message`.
    """

    path: list[str | int]
    reason: str = ""
    problems: tuple[Any, ...] = ()

    def __init__(self, message: str = "", **details: Any) -> None:
        super().__init__(message, **{"path": [], **details})


class AlreadyAnsweredError(AnswerError, RuntimeError):
    """Somebody else was first. `reviewer` and `answered_at` (aware UTC) say who and when."""

    reviewer: str | None = None
    answered_at: datetime | None = None


class DeadlinePassedError(AnswerError, TimeoutError):
    """The answer came after the question's `deadline` (both it and `answered_at` are aware datetimes). The question is still open."""

    deadline: datetime | None = None
    answered_at: datetime | None = None


class NotEntitledError(AnswerError, PermissionError):
    """Whoever gave the answer may not give it. The question is still open, and the decision log says who tried.

    `reviewer`: who that was. `entitled`: the names of those who may, as far as a reviewers file says. `reason`: why not, in a few words.
    """

    reviewer: str = ""
    entitled: tuple[str, ...] = ()
    reason: str = ""


class UnknownInterruptError(AnswerError, LookupError):
    """No open question of this thread has this id."""


class AmbiguousAnswerError(AnswerError, ValueError):
    """A single value came while several questions are open, or a mapping holds no id."""


class NotWaitingError(AnswerError, RuntimeError):
    """The thread has no open question."""


class QuestionChangedError(AnswerError, RuntimeError):
    """A node that runs again asks something else than what was answered; the answer was not delivered."""


class MissingAnswerError(AnswerError, LookupError):
    """No person can be asked here and no scripted answer fits. `suggestion`: the YAML lines to add."""

    suggestion: str = ""


class StillWaitingError(AnswerError, TimeoutError):
    """The question is still open. Nothing was lost: it can be answered later."""


class AnswersFileError(HitlError, ValueError):
    """The scripted answers cannot be read, or do not fit the questions that were asked."""


class ReviewersFileError(HitlError, ValueError):
    """The file that says who may answer cannot be read, or contradicts itself. No answer is taken before it can."""


class CasesError(HitlError, ValueError):
    """The cases of a batch cannot be read, or two of them cannot be told apart. Nothing was run."""


class NotebookFailedError(HitlError, RuntimeError):
    """A notebook that ran headless did not get to its end. `notebook`: the file that shows where; `error`: the exception's class; `cell`: its number;
    `status`: failed, kernel died, timed out or interrupted.
    """

    notebook: Path
    error: str = ""
    cell: int | None = None
    status: str = "failed"


class OutputError(HitlError, OSError):
    """What a run leaves behind (a notebook, a report, a summary) cannot be written. What the store holds is untouched."""


class NotSerializableError(HitlError, TypeError):
    """A value cannot be stored. `path` names it, for example ``state['frames'][3].model``."""

    path: str = ""


class PictureError(HitlError, ValueError):
    """What was to be a picture has no format that is shown, cannot be drawn, or is too large. `path`: where in the payload."""

    path: str = ""


class RendererError(HitlError, TypeError):
    """What was given to `renderer()` cannot draw, or what a renderer returned cannot be shown."""


class StoreError(HitlError, OSError):
    """The store cannot be used; the message names the folder or record."""


class UnknownTypeError(StoreError, LookupError):
    """A stored value is of a class that is not loaded here. Import it, then read again."""


class CorruptStoreError(StoreError):
    """A record of the store is missing, cut short or altered."""


class StoreVersionError(StoreError):
    """The store was written by a newer hitl_nb than this one."""


class HitlWarning(UserWarning):
    """Root of the warnings."""


class UnusedAnswersWarning(HitlWarning):
    """Answers given in a list were left over when the run paused or ended; they were not recorded."""


class UnknownStateKeyWarning(HitlWarning):
    """A node returned a key that the state does not have; it was dropped. Warned once a key."""


class NetworkFileSystemWarning(HitlWarning):
    """A store lies on a file system on which commits of another machine could be lost."""


class LostCommitsWarning(HitlWarning):
    """A store was in use when its machine lost power, and its latest commits had not reached the disk, as durability "normal" has it."""
