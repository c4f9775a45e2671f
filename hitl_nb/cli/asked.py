"""What the commands about questions share: which ones are meant, how one is named, and how it is answered from a command line."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from click.core import ParameterSource

from hitl_nb.cli.common import program
from hitl_nb.cli.completing import complete_threads

if TYPE_CHECKING:
    from hitl_nb.checkpoint.base import Checkpointer
    from hitl_nb.checkpoint.questions import OpenQuestion
    from hitl_nb.checkpoint.records import Decision, Question
    from hitl_nb.checkpoint.voting import Vote
    from hitl_nb.decisions.request import Form, Request
    from hitl_nb.waiting import Filters

F = TypeVar("F", bound=Callable[..., Any])
HOW: Final = "cli"
"""Stored with each decision that is made on a command line."""
UNREADABLE: Final = "(of a class that is not loaded here)"


# -- which questions -------------------------------------------------------------------------------------------------------------------------


def filter_options(*, search: tuple[str, ...] = ("--search",)) -> Callable[[F], F]:
    """The options that say which open questions are meant. `search`: what the one for words is called."""
    options = (
        click.option("--graph", metavar="NAME", help="Only questions of this graph."),
        click.option("--node", metavar="NAME", help="Only questions of this node."),
        click.option("--assignee", metavar="NAME", help="Only what this person or role is asked; an empty text: nobody in particular."),
        click.option("--thread", metavar="GLOB", shell_complete=complete_threads, help="Only of this thread, or of those like article-*."),
        click.option("--overdue", is_flag=True, help="Only those whose deadline has passed."),
        click.option(*search, "words", metavar="WORDS", default="", help="Only those that have all these words in what they show or in a name."),
        click.option("--sort", type=click.Choice(("deadline", "age")), default="deadline", show_default=True, help="By deadline, or by age."),
    )

    def with_options(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return with_options


def filters_of(given: dict[str, Any]) -> Filters:
    """What the options of `filter_options` came to; they are taken out of `given`."""
    from hitl_nb.waiting import Filters

    return Filters(
        graph=given.pop("graph"),
        node=given.pop("node"),
        assignee=given.pop("assignee"),
        thread=given.pop("thread"),
        overdue=given.pop("overdue"),
        text=given.pop("words"),
    )


def find_question(saver: Checkpointer, ref: str) -> Question:
    """The open question of this id or beginning, else a decided one. Raises UnknownInterruptError, AmbiguousAnswerError."""
    from hitl_nb.errors import AmbiguousAnswerError, UnknownInterruptError
    from hitl_nb.waiting import find
    from hitl_nb.waiting.finding import SHORT

    beginning = ref.strip().lower()
    try:
        question = find(saver, ref)
    except UnknownInterruptError:
        if len(beginning) < 4:  # which the error tells
            raise
        # Only open questions are found by their beginning; what was decided is named in the log.
        found = [decided for name in sorted(_decided(saver, beginning)) if (decided := saver.question(name)) is not None]
        if len(found) > 1:
            raise AmbiguousAnswerError(
                f"{len(found)} decided questions begin with {ref!r}: {', '.join(q.id for q in found[:5])}; type more of the id"
            ) from None
        if not found:
            raise UnknownInterruptError(f"no question has an id that begins with {ref!r}; hitl-nb pending lists the open ones") from None
        return found[0]
    if len(beginning) < SHORT and (others := _decided(saver, beginning) - {question.id}):
        # The one that was meant may have been decided since it was listed: a few letters then name another one.
        raise AmbiguousAnswerError(
            f"the open question {question.id} begins with {ref!r}, and so does {min(others)}, which was decided already; type more of the id"
        )
    return question


def _decided(saver: Checkpointer, beginning: str) -> set[str]:
    """The ids in the decision log that begin so."""
    from hitl_nb.checkpoint.audit import log_entries, log_head
    from hitl_nb.checkpoint.progress import bar

    entries = bar(log_entries(saver), "Decision log", total=log_head(saver)[0])
    return {e.interrupt_id for e in entries if e.interrupt_id.startswith(beginning)}


# -- how it is named and told ----------------------------------------------------------------------------------------------------------------


def short_names(ids: Collection[str]) -> dict[str, str]:
    """What to call each question: the beginning of its id, the whole one where two begin alike."""
    from hitl_nb.waiting import short_id

    times = Counter(map(short_id, ids))
    return {i: short_id(i) if times[short_id(i)] == 1 else i for i in ids}


def name_of(saver: Checkpointer, interrupt_id: str) -> str:
    """What to call this question, so that no other one is meant."""
    return short_names({interrupt_id, *(q.interrupt_id for q in saver.open_questions())})[interrupt_id]


def heading_of(saver: Checkpointer, interrupt_id: str) -> str:
    """The question in one line, or why it cannot be read: a listing names it all the same."""
    from hitl_nb.decisions.forms import form_for
    from hitl_nb.errors import HitlError, UnknownTypeError

    try:
        question = saver.question(interrupt_id)
        return "" if question is None else form_for(question).heading
    except UnknownTypeError:
        return UNREADABLE
    except HitlError as error:
        return f"(cannot be read: {error})"


def moment(at: datetime | None, *, seconds: bool = False) -> str:
    """A time as every table and text says it; the reader is told that it is UTC."""
    from datetime import UTC

    return "" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if seconds else f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"


def plain_question(q: OpenQuestion, question: str, now: datetime) -> dict[str, Any]:
    """An open question as JSON has it."""
    return {
        "id": q.interrupt_id,
        "thread_id": q.thread_id,
        "graph": q.graph,
        "node": q.node,
        "question": question,
        "assignee": q.assignee,
        "since": q.created_at.isoformat(),
        "deadline": None if q.deadline is None else q.deadline.isoformat(),
        "overdue": q.overdue(now),
        "escalate_to": q.escalate_to,
        "escalated_from": q.escalated_from,
        "has_default": q.has_default,
        "four_eyes": list(q.four_eyes),
        "quorum": q.quorum,
    }


# -- how it is answered ----------------------------------------------------------------------------------------------------------------------


def command_line(*words: str) -> str:
    """A command to copy, with the store that this one was given on its line."""
    ctx = click.get_current_context(silent=True)
    named = ctx is not None and "store" in ctx.params and ctx.get_parameter_source("store") is ParameterSource.COMMANDLINE
    where = ("--store", str(ctx.params["store"])) if named and ctx is not None else ()
    return " ".join([program(), *map(shlex.quote, (*words, *where))])


def ways(request: Request, name: str) -> Iterator[tuple[str, str]]:
    """Each way to answer as a command, with what it does."""
    from hitl_nb.decisions.answers.suggestion import sample_answers
    from hitl_nb.decisions.saying import how_to_say

    form = request.form
    if form.control == "buttons" or len(form.options) > 1:
        for option in form.options:
            said = how_to_say(option, form.options)
            # A word that begins with a dash would be taken for an option of the command.
            exactly = said is None or said.startswith("-")
            words = ["answer", name, *(["--value", _exact(option.value)] if exactly else [str(said)])]
            if option.edits:
                yield command_line(*words, "--edit"), f"opens the {form.subject_label.lower()} in your editor; or --text @FILE"
            elif option.needs_comment:
                yield command_line(*words, "--comment", "…"), "the comment says what to change"
            else:
                yield command_line(*words), 'with --comment "…" to say why' if form.comment else ""
    elif is_a_line(form):
        assert form.root is not None
        yield command_line("answer", name, form.root.example.lstrip("-") or "…"), "the value"
    elif form.control == "text":
        yield command_line("answer", name, "…"), "the text"
        yield command_line("answer", name, "--text", "@FILE"), "the text of a file; - reads standard input"
        yield command_line("answer", name, "--edit"), "opens your editor"
    elif form.control == "editor":
        yield command_line("answer", name, "--edit"), f"opens the {form.subject_label.lower()} in your editor"
        yield command_line("answer", name, "--text", "@FILE"), "the text of a file; - reads standard input"
    else:
        if form.control in ("table", "actions"):
            for sample in sample_answers(request.question):
                yield command_line("answer", name, "--value", _exact(sample)), "for example"
        yield command_line("answer", name, "--edit"), "opens the answer as JSON in your editor, with what it takes"
        yield command_line("answer", name, "--value", "@FILE"), "the answer as JSON; - reads standard input"


def outlined(form: Form) -> Iterator[str]:
    """What a form takes, where it is more than a button or a text."""
    from hitl_nb.decisions.fields.outline import outline

    if form.control == "form" and form.root is not None:
        yield "The answer:" if is_a_line(form) else "The answer, as JSON:"
        yield from (f"  {line}" for line in outline(form.root))
        yield ""


def is_a_line(form: Form) -> bool:
    """Whether the answer is a single value that is typed in a line."""
    return form.root is not None and form.root.kind in ("text", "number", "moment", "choice")


def recorded(request: Request, made: Decision | Vote) -> Iterator[str]:
    """What became of an answer, and what happens next."""
    from hitl_nb.checkpoint.voting import Vote
    from hitl_nb.decisions.answering import brief

    yield " ".join(f"Recorded: {request.form.heading} {brief(made.answer)}, by {made.reviewer}".split())
    if isinstance(made, Vote):
        yield f"It is one of the answers that are needed ({made.standing} alike): the question stays open for the other reviewers."
    else:
        yield f"The run of thread {made.thread_id} goes on with it when it is started again."


def _exact(value: Any) -> str:
    from hitl_nb.cli.plain import exact
    from hitl_nb.decisions.wording import exactly

    return exactly(exact(value))
