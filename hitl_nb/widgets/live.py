"""The live view of a session: one output with its receipts and open cards, answered by the person in front of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from threading import RLock
from typing import Any, Final

from hitl_nb.checkpoint.records import Decision, utc_now
from hitl_nb.checkpoint.voting import Vote
from hitl_nb.decisions.request import Request
from hitl_nb.errors import HitlError
from hitl_nb.responders.base import Submit, View, Ways
from hitl_nb.responders.progress import Progress
from hitl_nb.widgets import overtaken
from hitl_nb.widgets.card_frame import Tells
from hitl_nb.widgets.failure import FailureCard
from hitl_nb.widgets.output import Output
from hitl_nb.widgets.progress import Activity
from hitl_nb.widgets.receipt import Receipt
from hitl_nb.widgets.slot import Slot
from hitl_nb.widgets.stack import Place, Stack

_WAY_BACK: Final = "session.undo() in a cell asks again; this answer stays in the record"


class LiveView(View):
    """View and responder in one. Create it in the cell that shall hold the output; call it from any thread.

    The output appears with the first thing to show. Everything a card knows comes from its request, so nothing is lost when the widgets are.
    """

    how = "card"

    def __init__(self, now: Callable[[], datetime] = utc_now) -> None:
        self._now = now
        self._lock = RLock()
        self._output = Output()
        self._ways: Ways | None = None
        self._slots: dict[str, Slot] = {}
        """By question, in the order in which they were asked."""
        self._stack: Stack | None = None
        """The open ones, once there are some."""
        self._is_sending = False
        """Several answers are being recorded: all of them are drawn at once."""
        self._last: str | None = None
        """The question that was decided last: below its receipt stands what runs, and what failed."""
        self._changeable: str | None = None
        self._follows = False
        """An answer was just given here, so the next card takes the keyboard, also one that says what failed."""
        self._changes = False
        """A decision is being changed here."""
        self._progress = Progress()
        self.progress = self._progress
        self._activity: Activity | None = None
        self._failure: FailureCard | None = None
        self._host: Slot | None = None
        """Whose receipt one of these two stands below; None: it stands by itself."""
        self._settled: tuple[Receipt, ...] = ()
        """The receipts of a session that has ended and shows its static record."""
        self._notes: dict[str, overtaken.Note] = {}
        """What is told beside these, by question."""
        self._ended_by: str | None = None
        """The question whose answer could still be changed when it ended."""

    @property
    def box(self) -> Any:
        """The widget with everything in it."""
        return self._output.box

    def is_seen_in(self, page: str) -> bool:
        """Whether this page has drawn the output."""
        return bool(self._output.box.is_seen_in(page))

    def awaited(self) -> None:
        """A cell waits for an answer from now on: its card comes into view and takes the keyboard, unless the person is busy elsewhere."""
        with self._lock:
            if self._stack is not None:
                self._stack.take_keyboard()

    def ping(self, heard: Callable[[], None]) -> bool:
        """Call `heard` if a page shows the open question at this moment; False when there is none."""
        with self._lock:
            return self._stack is not None and self._stack.ping(heard)

    # -- responder

    def ask(self, request: Request, submit: Submit) -> None:
        """Show the card: in place of a question that it follows from, else below the others."""
        with self._lock:
            self._awake()
            present = self._slots.get(request.question.id)
            if present is not None and present.is_open:
                return
            self._quiet()
            outdated = self._find(request, lambda s: s.is_outdated)
            if outdated is not None:
                outdated.offer(request, lambda: self._ask_in(outdated, request, submit, grab=True))
                self._draw()
                return
            slot = present or self._find(request, lambda s: s.taken_back is not None) or self._slot(request)
            grab = self._changes or (self._follows and not self._is_asking)
            self._follows = self._changes = False
            self._ask_in(slot, request, submit, grab=grab)

    def _ask_in(self, slot: Slot, request: Request, submit: Submit, *, grab: bool) -> None:
        with self._lock:
            note = "" if slot.taken_back is None else overtaken.asked_again(slot.taken_back, request)
            fresh = not self._is_asking
            if self._stack is None:
                self._stack = Stack(self.decided, self._send_all, now=self._now, lock=self._lock)
            if slot.key != request.question.id:
                self._slots = {request.question.id if s is slot else key: s for key, s in self._slots.items()}
            slot.leave()
            tells = Tells(self._overtaken, self._missed, self._look)
            slot.ask(request, self._stack.add(request, submit, tells, note=note, grab=grab))
            self._draw(fresh=fresh)

    def _send_all(self, given: Sequence[tuple[Request, Any]]) -> Sequence[Decision | Vote | HitlError]:
        """Have several answers recorded together."""
        self._is_sending = True
        try:
            if self._ways is not None and self._ways.answer is not None:
                return self._ways.answer(given)
            return [self._send_one(request, answer) for request, answer in given]
        finally:
            with self._lock:
                self._is_sending = False
                self._draw(fresh=not self._is_asking)

    def _send_one(self, request: Request, answer: Any) -> Decision | Vote | HitlError:
        """Where no session stands behind it that takes several at once."""
        card = self._slots[request.question.id].card
        assert card is not None
        try:
            made = card.submit(answer)
        except HitlError as error:
            return error
        if isinstance(made, Decision):
            self.decided(request, made)
        return made

    def _overtaken(self, card: Place, error: HitlError) -> None:
        """An answer was not taken because the question is not open any more."""
        with self._lock:
            slot = next((s for s in self._slots.values() if s.card is card), None)
            if slot is None or slot.receipt is not None:  # who was first is told already, but not that this one was second
                self._missed(card.request, card.tried, tabs=False)
                return
            at = getattr(error, "answered_at", None)
            if at is not None:
                slot.give_away(None, getattr(error, "reviewer", None) or "", at, self._draw, tried=card.tried)
            else:
                slot.outdate()
            self._draw()

    def _missed(self, request: Request, tried: str, *, tabs: bool) -> None:
        """A button was pressed when the question had its answer already; `tabs`: given in another tab that shows this card too."""
        with self._lock:
            key = request.question.id
            slot = self._slots.get(key)
            if slot is not None and slot.receipt is not None:
                slot.miss(tried, in_tabs=tabs)
                self._draw()
            for receipt in [r for r in self._settled if r.request.question.id == key]:
                self._notes[key] = overtaken.missed(receipt, tried, tabs=tabs, changeable=key == self._ended_by)
                self._settle()

    # -- view

    def opened(self, ways: Ways) -> None:
        self._ways = ways

    def decided(self, request: Request, decision: Decision) -> None:
        with self._lock:
            self._awake()
            slot = self._slots.get(request.question.id)
            if slot is not None and slot.receipt is not None and slot.receipt.decision.number == decision.number:
                return
            card = None if slot is None else slot.card
            if card is not None and card.state in ("sending", "sent") and decision.how == self.how:
                self._follows = True
            elif card is not None and card.unsent:  # answered past the card: what was typed here stays on the page until the session ends
                self.decided_elsewhere(request, decision)
                return
            beaten, slot = "" if card is None else card.beaten, slot or self._slot(request)
            slot.decide(request, decision)
            if beaten:
                slot.miss(beaten, in_tabs=True)
            self._decided(request)

    def decided_elsewhere(self, request: Request, decision: Decision) -> None:
        with self._lock:
            self._awake()
            slot = self._slots.get(request.question.id)
            who, others = overtaken.who(decision), self._is_asking
            if slot is None or slot.card is None or (slot.is_open and slot.card.is_untouched):
                (slot or self._slot(request)).decide(request, decision)
            else:
                slot.request = request
                slot.give_away(decision, who, decision.decided_at, self._draw)
            if others and self._stack is not None:
                self._stack.tell(f"Answered elsewhere: “{request.form.heading}”, by {who}.")
            self._decided(request)

    def _decided(self, request: Request) -> None:
        self._last = request.question.id
        self._progress.clear()
        self._draw(fresh=not self._is_asking)

    def outdated(self, request: Request) -> None:
        with self._lock:
            slot = self._slots.get(request.question.id)
            if slot is None or slot.card is None:
                return
            if self._changes and not slot.card.unsent:  # the person went back here, so nothing has to be explained
                self._drop(slot)
            else:
                slot.outdate()
            self._draw()

    def changed(self, request: Request) -> None:
        with self._lock:
            slot = self._slots.get(request.question.id)
            if slot is not None and slot.card is not None and slot.is_open:
                slot.card.renew(request)

    def undone(self, request: Request, decision: Decision) -> None:
        with self._lock:
            self._awake()
            slot = self._slots.get(request.question.id)
            if slot is not None and slot.receipt is not None:
                slot.take_back()
                if self._last == slot.key:
                    self._last = None

    def changeable(self, request: Request | None) -> None:
        with self._lock:
            self._changeable = None if request is None else request.question.id

    def running(self, nodes: Sequence[str]) -> None:
        with self._lock:
            if not nodes:
                self._quiet()
                for slot in [s for s in self._slots.values() if s.is_empty]:
                    self._drop(slot)
            elif self._activity is not None:
                self._activity.run(nodes)
                return
            else:
                self._activity = Activity(nodes, self._stand_below(), self._progress, self._lock, self._now)
            self._draw()

    def failed(
        self, error: BaseException, retry: Callable[[], None], reopen: Callable[[], None] | None, nodes: Sequence[tuple[str, str]] = ()
    ) -> None:
        with self._lock:
            receipt = self._stand_below()
            change = None if reopen is None else lambda: self._change(reopen)
            self._failure = FailureCard(error, receipt, retry, change, nodes, grab=self._follows, now=self._now)
            self._draw()

    def finished(self) -> None:
        with self._lock:
            self._quiet()
            if self._stack is not None:
                self._stack.close()
                self._stack = None
            self._ended_by, self._changeable, self._last = self._changeable, None, None
            self._notes = {key: note for key, slot in self._slots.items() if (note := slot.last_words(changeable=key == self._ended_by)) is not None}
            self._settled, self._slots = tuple(self._receipts()), {}
            self._settle()

    def _settle(self) -> None:
        """Leave the record. It holds no button: whoever pressed the wrong one last must be told the way back."""
        record = [replace(r, way_back=_WAY_BACK) if r.request.question.id == self._ended_by else r for r in self._settled]
        self._output.settle(record, tuple(self._notes.values()))

    # -- what a person sets going

    def _look(self) -> None:
        if self._ways is not None:
            self._ways.look()

    def _change(self, reopen: Callable[[], None]) -> None:
        """Take an answer back; the card that asks again takes the keyboard, and what was asked on its ground goes without a word."""
        self._changes = True
        try:
            reopen()
        except BaseException:
            self._changes = False
            raise

    def _way_to_change(self, slot: Slot) -> Callable[[], None] | None:
        ways, key = self._ways, slot.key
        if ways is None or key != self._changeable or self._activity is not None or self._failure is not None:
            return None
        return lambda: self._change(lambda: ways.change(key))

    # -- the slots

    def _awake(self) -> None:
        """Go on after the end: the session was undone."""
        settled, self._settled, self._notes = self._settled, (), {}
        for receipt in settled:
            self._slot(receipt.request).decide(receipt.request, receipt.decision)

    def _slot(self, request: Request) -> Slot:
        """A new one, below the others."""
        made = self._slots[request.question.id] = Slot(request, self._now)
        return made

    def _find(self, request: Request, fits: Callable[[Slot], bool]) -> Slot | None:
        """The slot for another asking of the same question."""
        place = Slot.place_of(request)
        return next((s for s in self._slots.values() if fits(s) and Slot.place_of(s.request) == place), None)

    def _drop(self, slot: Slot) -> None:
        slot.leave()
        self._slots = {key: s for key, s in self._slots.items() if s is not slot}

    @property
    def _is_asking(self) -> bool:
        return self._stack is not None and not self._stack.is_empty

    def _receipts(self) -> list[Receipt]:
        return [*self._settled, *(s.receipt for s in self._slots.values() if s.receipt is not None)]

    # -- drawing

    def _stand_below(self) -> Receipt | None:
        """What runs, or failed, stands below the receipt of the last answer; returns it."""
        self._quiet()
        slot = None if self._last is None else self._slots.get(self._last)
        self._host = slot if slot is not None and slot.card is None and slot.receipt is not None else None
        return None if self._host is None else self._host.receipt

    def _quiet(self) -> None:
        """Nothing runs, and nothing failed."""
        if self._activity is not None:
            self._activity.stop()
        self._activity = self._failure = self._host = None

    def _draw(self, *, fresh: bool = False) -> None:
        """Put everything in order. `fresh`: no card stays from before, so the saved fallback can be renewed without disturbing anybody's typing."""
        if self._is_sending:
            return
        tail = self._failure or self._activity
        for slot in self._slots.values():
            slot.arrange(tail if slot is self._host else None, self._way_to_change(slot))
        below = [tail.box] if tail is not None and self._host is None else []
        past = [s.box if s.record is None else s.record for s in self._slots.values() if not s.is_open]
        live = [*([] if self._stack is None else [self._stack.box]), *below]
        if fresh or not self._output.is_live:
            self._output.renew(self._receipts(), [s.request for s in self._slots.values() if s.is_open], past, *live)
        else:
            self._output.show(past, *live)
