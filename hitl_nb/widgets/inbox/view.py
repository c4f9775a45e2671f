"""The live inbox: a list of what is open, and below it the card of the question that is being answered. Fed by a watch on the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from threading import RLock
from typing import Any, Final, Literal

import ipywidgets

from hitl_nb.checkpoint.base import Checkpointer
from hitl_nb.checkpoint.records import Decision
from hitl_nb.checkpoint.voting import Vote
from hitl_nb.decisions.request import Request
from hitl_nb.errors import HitlError, told
from hitl_nb.waiting.alike import kind_of
from hitl_nb.waiting.board import Board
from hitl_nb.waiting.resuming import Graphs
from hitl_nb.waiting.together import together
from hitl_nb.waiting.watching import Watching
from hitl_nb.widgets import markup
from hitl_nb.widgets.card_frame import Tells
from hitl_nb.widgets.controls import classed, close
from hitl_nb.widgets.inbox.answers import Answers, Given, Made
from hitl_nb.widgets.inbox.bulk import Bulk
from hitl_nb.widgets.inbox.card import InboxCard, is_same, missed_words
from hitl_nb.widgets.inbox.filters import filters_of, refilter
from hitl_nb.widgets.inbox.rows import Rows
from hitl_nb.widgets.inbox.static import static_bundle
from hitl_nb.widgets.inbox.tree import PAGE, Shown, tree
from hitl_nb.widgets.outcome import outcome
from hitl_nb.widgets.output import Output
from hitl_nb.widgets.sight import Presence, kernel_time
from hitl_nb.widgets.stack_card import Draft
from hitl_nb.widgets.surface import Act, Surface

_AGAIN: Final = "Run the cell again to answer them."
_LOST: Final = "What was answered is stored, and so are the questions. Run the cell again to go on."
_UNDRAWN: Final = "The inbox needs anywidget in the front end. <code>hitl-nb answer --interactive</code> in a terminal asks the same questions."


class InboxView:
    """May be used from any Python thread: everything is under one lock."""

    def __init__(
        self,
        saver: Checkpointer,
        board: Board,
        graphs: Graphs,
        *,
        reviewer: str,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._saver, self._board, self._now = saver, board, now
        self._lock = RLock()
        self._output = Output()
        self._answers = Answers(saver, graphs, self._tell, reviewer=reviewer, now=now)
        self._list = Surface(label="Inbox")
        self._list.on_act(self._acted)
        lost = ipywidgets.HTML(markup.lost(_LOST).replace("This card", "This inbox"))
        undrawn = ipywidgets.HTML(f'<p class="hitl-nb-note">{_UNDRAWN}</p>')
        self._always = (self._list, classed(undrawn, "hitl-nb-undressed"), classed(lost, "hitl-nb-list-lost"))
        self.box = classed(ipywidgets.VBox(self._always), "hitl-nb-inbox")
        self._card: InboxCard | None = None
        self._here = ""
        """The question whose card is shown."""
        self._drafts: dict[str, Draft] = {}
        """What was filled in on cards that are not shown, by question."""
        self._bulk: Bulk | None = None
        self._picked: dict[str, None] = {}
        self._rows = Rows(saver, board, reviewer)
        self._first = self._rev = 0
        self._note = self._problem = self._trouble = ""
        self._presence = Presence(lambda: self._list.echo(self._heard), kernel_time(), clock)
        self._watch, self._is_closed = Watching(saver, self.look, self._goes_on), False

    # -- its life

    def show(self) -> None:
        """Put it into the output of the running cell, and keep it up to date from now on."""
        with self._lock:
            self._board.read()
            self._board.arrange()
            self._draw()
            self._output.place(self._static(), (), self.box)
            self._output.box.observe(lambda change: self._seen_by(change["new"]), "_view_count")
        self._watch.start()

    def close(self) -> None:
        """Free the widgets. What is recorded stays."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            self._watch.stop()
            self._put()
            for draft in self._drafts.values():
                draft.close()
            self._output.end(self._static())

    def _static(self) -> dict[str, Any]:
        """What a saved notebook shows."""
        found = [line.brief for line in self._board.lines if line.state == "open"]
        return static_bundle(self._saver, found, _AGAIN if found else "")

    def look(self) -> None:
        """Learn what is stored now, and show it. What a person is at stays."""
        with self._lock:
            if self._is_closed:
                return
            try:
                self._board.read()
                self._picked = {key: None for key in self._picked if self._board.is_open(key)}
                self._follow_card()
                self._trouble = ""
            except Exception as error:  # noqa: BLE001 - nobody hears of it in a thread of its own
                self._trouble = f"The store cannot be read: {error if isinstance(error, HitlError) else told(error)}"
            self._draw()

    def _goes_on(self) -> bool:
        with self._lock:
            return not self._is_closed and self.box.comm is not None and self._presence.look()

    def _seen_by(self, pages: int | None) -> None:
        """So many views are drawn; a page that is closed in good order says so."""
        if pages:
            self._heard()
        else:
            self._watch.stop()

    def _heard(self) -> None:
        """A page shows it."""
        with self._lock:
            self._presence.heard()
            if not self._is_closed:
                self._watch.start()

    # -- the card

    def _open(self, key: str) -> None:
        """Show the card of this question, and give it the keyboard. One that was answered elsewhere shows what was filled in and not sent."""
        if not self._board.is_open(key) and key not in self._drafts:
            return
        if key == self._here and self._card is not None:
            self._card.take_keyboard()
            return
        request = self._rows.request(key)
        more: dict[str, Any] = {"tells": Tells(self._overtaken, self._missed, self.look), "grab": True, "now": self._now, "lock": self._lock}
        draft = self._drafts.pop(key, Draft())
        self._put(InboxCard(request, lambda answer: self._answers.give(request, answer), self._answered, self._voted, draft, **more))
        self._follow_card()
        self._show_page_of(key)

    def _put(self, card: InboxCard | None = None, bulk: Bulk | None = None) -> None:
        """Show this below the list. What was filled in on the card that was there stays for when it is shown again."""
        before, was, bulk_before = self._card, self._here, self._bulk
        self._card, self._bulk, self._here = card, bulk, "" if card is None else card.request.question.id
        below = card.box if card is not None else bulk.box if bulk is not None else None
        self.box.children = (self._list, *(() if below is None else (below,)), *self._always[1:])
        if bulk_before is not None:
            close(bulk_before.box)
        if before is not None:
            draft = before.put_away()
            if draft.unsent:
                self._drafts[was] = draft
            else:
                draft.close()

    def _answered(self, request: Request, decision: Decision) -> None:
        """The card's answer is recorded: on to the next question."""
        with self._lock:
            beaten = "" if self._card is None else self._card.beaten
            self._take(decision)
            self._note = f"Recorded: {outcome(request.form, decision.answer).label}."
            if beaten:
                self._note = missed_words(self._saver, request, beaten, tabs=True)
            self._advance(request)
        self._answers.run([decision])

    def _voted(self, request: Request, vote: Vote) -> None:
        """The card's answer is recorded, and others have to give the same."""
        with self._lock:
            self._board.voted(request.question.id)
            self._note = f"Recorded: {vote.standing} answered “{outcome(request.form, vote.answer).label}”. It stays open for the others."
            self._advance(request)

    def _advance(self, request: Request) -> None:
        following = self._board.next_open(request.question.id)
        if following is not None:
            self._open(following.id)
        else:
            self._put()
            self._note += " Nothing else here waits for you." if self._board.open else " That was the last one."
            self._list.focus("told")
        self._draw()

    def _take(self, decision: Decision) -> None:
        self._board.answered(decision)
        self._picked.pop(decision.interrupt_id, None)
        self._board.ran({decision.thread_id}, self._answers.picked_up)

    def _overtaken(self, card: Any, error: HitlError) -> None:
        """The answer was not taken, as the question is not open any more; or is it?"""
        with self._lock:
            self.look()
            if not card.has_ended:
                card.stay(error)

    def _missed(self, request: Request, tried: str, *, tabs: bool) -> None:
        """A button was pressed when the question had its answer already; `tabs`: given in another tab that shows this list too."""
        with self._lock:
            card = self._card
            if card is not None and card.has_ended and self._here == request.question.id:
                card.tried = tried
                self._end_card(card)
            else:
                self._note = missed_words(self._saver, request, tried, tabs=tabs) or self._note
                self._draw()

    def _follow_card(self) -> None:
        """Say on the card what became of its question meanwhile."""
        card = self._card
        if card is None:
            return
        line = self._board.standing(card.request.question)
        if line.state == "answered":
            return
        if line.state == "open":
            if card.state == "open":
                fresh = self._rows.request(line.id)
                if not is_same(fresh, card.request):
                    card.renew(fresh)
            return
        if not card.has_ended:
            self._end_card(card)

    def _end_card(self, card: InboxCard) -> None:
        following = None if self._board.next_open(self._here) is None else partial(self._go_on, 1)
        card.end_at(self._board.standing(card.request.question), following, self._close_card)

    def _close_card(self) -> None:
        with self._lock:
            key = self._here
            self._put()
            self._drafts.pop(key, Draft()).close()
            self._draw()

    def _leave_bulk(self, *, done: bool) -> None:
        """`done`: the answers are recorded, so the next question is wanted."""
        following = self._board.next_open() if done else None
        if following is not None:
            self._open(following.id)
        else:
            self._put()
        self._draw()

    def _go_on(self, step: Literal[1, -1]) -> None:
        with self._lock:
            following = self._board.next_open(self._here, step)
            if following is not None:
                self._open(following.id)
            self._draw()

    # -- many at once

    def _show_bulk(self) -> None:
        those = together([self._rows.request(key) for key in self._picked], self._now())
        self._put(bulk=Bulk(those, self._record, self._leave_bulk, lock=self._lock))

    def _pick_alike(self) -> None:
        """Pick every open line that the same button answers as those that are picked."""
        kind = together([self._rows.request(key) for key in self._picked], self._now()).kind
        if kind is None:
            self._note = "What is picked needs an answer of its own each."
            return
        for line in self._board.lines:
            if (line.brief.graph, line.brief.node) != (kind.graph, kind.place[-1]) or not self._board.is_to_do(line):
                continue
            with suppress(HitlError):
                request = self._rows.request(line.id)
                if kind_of(request.question, request.form) == kind:
                    self._picked[line.id] = None
        self._note = ""

    def _record(self, given: Given) -> None:
        bulk = self._bulk
        if bulk is not None:
            self._answers.give_all(given, bulk.recorded, lambda results: self._recorded(bulk, results))

    def _recorded(self, bulk: Bulk, results: Sequence[tuple[Request, Made]]) -> None:
        with self._lock:
            for request, made in results:
                if isinstance(made, Decision):
                    self._take(made)
                elif isinstance(made, Vote):
                    self._board.voted(request.question.id)
            self._picked.clear()
            self._note = ""
            bulk.finished(results)
            self.look()
        self._answers.run([made for _, made in results if isinstance(made, Decision)])

    def _tell(self, thread_id: str, words: str, *, failed: bool) -> None:
        """What became of the run of a thread."""
        with self._lock:
            self._board.ran({thread_id}, words, failed=failed)
            self._draw()

    # -- what a person does

    def _acted(self, act: Act) -> None:
        with self._lock:
            if self._is_closed:
                return
            try:
                self._act(act)
            except HitlError as error:
                self._problem = str(error)
            except Exception as error:  # noqa: BLE001 - shown where the person looks: a callback's traceback reaches no cell
                self._problem = told(error)
            self._draw()
        self._heard()

    def _act(self, act: Act) -> None:
        if self._bulk is not None and self._bulk.is_busy:
            return
        self._problem = ""
        match act.name:
            case "open":
                self._open(act.arg)
            case "go":
                self._go_on(-1 if act.arg == "prev" else 1)
            case "pick":
                self._picked.pop(act.arg, None)
                if act.value is True and self._board.is_open(act.arg):
                    self._picked[act.arg] = None
            case "like":
                self._pick_alike()
            case "none":
                self._picked.clear()
            case "together":
                self._show_bulk()
            case "page":
                self._turn(act.arg)
            case _:
                self._filter(act)

    def _turn(self, to: str) -> None:
        total = len(self._board.lines)
        first = self._first + (PAGE if to == "next" else -PAGE)
        self._first = max(0, min(first, (max(total, 1) - 1) // PAGE * PAGE))
        rows = self._board.lines[self._first : self._first + PAGE]
        first_open = next((line for line in rows if line.state == "open"), None)
        if first_open is not None:
            self._draw()
            self._list.focus(f"open-{first_open.id}")

    def _filter(self, act: Act) -> None:
        """Other questions are wanted, or in another order."""
        if not refilter(self._board, act):
            return
        self._rev += act.name == "clear"
        self._note = ""
        self._first = 0
        self._picked = {key: None for key in self._picked if self._board.is_open(key)}
        if self._board.is_open(self._here):
            self._show_page_of(self._here)

    def _show_page_of(self, key: str) -> None:
        at = next((n for n, line in enumerate(self._board.lines) if line.id == key), -1)
        if at >= 0:
            self._first = at // PAGE * PAGE

    # -- what is drawn

    def _draw(self) -> None:
        if self._is_closed:
            return
        lines = self._board.lines
        self._first = min(self._first, max(len(lines) - 1, 0) // PAGE * PAGE)
        drawn = lines[self._first : self._first + PAGE]
        self._list.tree = tree(
            Shown(
                now=self._now(),
                filters=filters_of(self._board, self._rev),
                open=len(self._board.open),
                oldest=min((q.created_at for q in self._board.open), default=None),
                done=self._board.done,
                of=self._board.total,
                rows=[
                    self._rows.row(line, is_picked=line.id in self._picked, is_here=line.id == self._here, is_kept=line.id in self._drafts)
                    for line in drawn
                ],
                first=self._first,
                total=len(lines),
                new=self._board.new,
                picked=len(self._picked),
                unseen=len(self._picked.keys() - {line.id for line in lines}),
                busy=self._bulk is not None and self._bulk.is_busy,
                note=self._note,
                problem=self._problem or self._trouble,
                has_next=self._board.next_open(self._here) is not None,
            )
        )
