"""The open questions of a session in one frame: one is drawn at a time, answers are kept here and sent together.

What is kept lies in this object only. It ends with the kernel: nothing was sent then, and the card says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from threading import RLock
from typing import Any

import ipywidgets

from hitl_nb.checkpoint.records import Decision
from hitl_nb.checkpoint.voting import Vote
from hitl_nb.decisions.request import Request
from hitl_nb.decisions.wording import plural
from hitl_nb.errors import DeadlinePassedError, HitlError, InvalidAnswerError, NotEntitledError, told
from hitl_nb.responders.base import Submit
from hitl_nb.widgets.card_frame import TELLS_NOBODY, State, Tells
from hitl_nb.widgets.controls import classed
from hitl_nb.widgets.outcome import Outcome
from hitl_nb.widgets.stack_bar import bar
from hitl_nb.widgets.stack_card import Draft, Finish, Kept, StackCard
from hitl_nb.widgets.surface import Act, Surface
from hitl_nb.widgets.voting import with_vote

SendAll = Callable[[Sequence[tuple[Request, Any]]], Sequence[Decision | Vote | HitlError]]
"""Records these answers together; for each, what became of it. Raises when nothing could be recorded."""


class Place:
    """One open question of a stack. Stands for its card, whether that is drawn or not."""

    def __init__(self, stack: Stack, request: Request, submit: Submit, tells: Tells, more: dict[str, Any]) -> None:
        self._stack, self._tells, self._more = stack, tells, more
        self.request, self._submit = request, submit
        self.kept: Kept | None = None
        self.problem = ""
        """Why its answer was not taken when the others were sent; told when it is shown."""
        self.card: StackCard | None = None
        self.draft = Draft()
        self.is_sending = self.is_over = False
        self.sent_by: str | None = None

    # -- as the view sees a card

    @property
    def state(self) -> State:
        if self.is_over:
            return "over"
        return "sending" if self.is_sending else "open" if self.card is None else self.card.state

    @property
    def box(self) -> Any:
        """What to show of it outside of the stack, after `end`."""
        assert self.card is not None
        return self.card.box

    @property
    def unsent(self) -> dict[str, str]:
        """What was filled in or kept, by the name of the field."""
        filled = self.draft.unsent if self.card is None else self.card.unsent
        return dict(filled) if self.kept is None else {"answer": self.kept.outcome.label, **filled}

    @property
    def tried(self) -> str:
        """The button whose answer was sent, and not taken."""
        return self.kept.option.label if self.kept is not None else "" if self.card is None else self.card.tried

    @property
    def beaten(self) -> str:
        """The button that another page pressed while this answer was being sent."""
        return "" if self.card is None else self.card.beaten

    @property
    def is_untouched(self) -> bool:
        """It was never shown, so nothing has to be explained when it goes."""
        return self.card is None and self.draft == Draft()

    def take_keyboard(self) -> None:
        self._stack.take_keyboard()

    def renew(self, request: Request) -> None:
        """Somebody else is asked now, or until another time."""
        self.request = request
        if self.card is not None:
            self.card.renew(request)

    def end(self, drawn: str, foot: Any | None) -> None:
        """It can no longer be answered: it leaves the stack and shows this HTML, and these buttons, where the view puts its box."""
        if not self.is_over:
            self._stack.leave(self, stays=True)
            if self.card is None:
                self.draw(grab=False)
        assert self.card is not None
        self.card.end(drawn, foot)

    def leave(self) -> None:
        """It is decided, or nobody asks it any more."""
        if not self.is_over:
            self._stack.leave(self, stays=False)

    # -- as its card sees the stack

    @property
    def is_stacked(self) -> bool:
        return self._stack.is_stacked

    @property
    def finish(self) -> Finish | None:
        return self._stack.finish

    def submit(self, answer: Any) -> Decision | Vote:
        return self._submit(answer)

    def keep(self, kept: Kept) -> None:
        self.kept, self.problem = kept, ""

    def went_on(self) -> None:
        self._stack.go_on(self)

    def voted(self, vote: Vote) -> None:
        """Its answer was sent, and others have to give the same."""
        self.kept = None
        self.request = with_vote(self.request, vote)
        if self.card is not None:
            self.card.renew(self.request)

    def drop(self) -> None:
        self._stack.drop(self)

    def send(self, page: str = "") -> None:
        self._stack.send(page)

    # -- as the stack sees it

    def draw(self, *, grab: bool) -> StackCard:
        tells = replace(self._tells, overtaken=lambda _, error: self.overtaken(error))
        self.card = StackCard(self.request, self, self._stack.answered, self.draft, tells=tells, grab=grab, **self._more)
        if self.problem:
            self.card.say_problem(self.problem)
        return self.card

    def put_away(self) -> None:
        if self.card is not None:
            self.draft, self.card = self.card.put_away(), None

    def overtaken(self, error: HitlError) -> None:
        """The question turned out to be open no more when its answer was sent."""
        if self._tells.overtaken is not None:
            self._tells.overtaken(self, error)


class Stack:
    """`box` is the widget to put into the page; it stays there, so that typing goes on when a question comes or goes.

    answered: is called with each decision that was made one at a time. May be used from any thread: updates are made under the view's lock.
    """

    def __init__(self, answered: Callable[[Request, Decision], None], send_all: SendAll, *, now: Callable[[], datetime], lock: RLock) -> None:
        self.answered, self._send_all = answered, send_all
        self._now, self._lock = now, lock
        self._places: list[Place] = []
        self._at: Place | None = None
        self._note = ""
        self._is_sending = False
        self._bar = Surface()
        self._bar.on_act(self._acted)
        self.box = classed(ipywidgets.VBox([self._bar]), "hitl-nb-stack")

    # -- what the view tells

    def add(
        self,
        request: Request,
        submit: Submit,
        tells: Tells = TELLS_NOBODY,
        *,
        note: str = "",
        grab: bool = False,
    ) -> Place:
        """A question more. What is drawn stays as it is. `tells`: with its place for the card."""
        with self._lock:
            place = Place(self, request, submit, tells, {"note": note, "now": self._now, "lock": self._lock})
            self._places.append(place)
            if self._at is None or grab:
                self._show(place, grab=grab)
            else:
                self._refresh()
            return place

    def leave(self, place: Place, *, stays: bool) -> None:
        """The question is not open any more. `stays`: its card goes on elsewhere in the page, to say so."""
        with self._lock:
            place.is_over = True
            if place not in self._places:
                return
            number = self._places.index(place)
            self._places.remove(place)
            if place is self._at:
                self._at = None
                if self._places and not self._is_sending:
                    # Nobody asked for this question, so a key that was meant for the other one must not answer it.
                    self._show(self._next_open(number), grab=False)
                else:
                    self.box.children = (self._bar,)
            elif self._at is not None and not self._is_sending:
                self._refresh(single=len(self._places) == 1)
            if not stays:
                place.put_away()
                place.draft.close()

    @property
    def is_empty(self) -> bool:
        return not self._places

    def tell(self, words: str) -> None:
        """Stands above the question until the person goes to another one."""
        with self._lock:
            self._note = words if self._places else ""
            self._refresh()

    def take_keyboard(self) -> None:
        with self._lock:
            if self._at is not None and self._at.card is not None:
                self._at.card.take_keyboard()

    def ping(self, heard: Callable[[], None]) -> bool:
        """Call `heard` if a page shows the question that is drawn; False when none is."""
        with self._lock:
            card = None if self._at is None else self._at.card
            if card is not None:
                card.ping(heard)
            return card is not None

    def close(self) -> None:
        """Nothing is asked any more."""
        with self._lock:
            for place in list(self._places):
                self.leave(place, stays=False)

    # -- what a card tells

    @property
    def is_stacked(self) -> bool:
        return len(self._places) > 1 or self._any_kept

    @property
    def finish(self) -> Finish | None:
        count = len(self._kept)
        return Finish(f"Send {plural(count, 'answer')}", count == len(self._places)) if count else None

    def go_on(self, place: Place) -> None:
        """An answer is kept: show the next question without one. After the last, the card stays and offers to send them."""
        with self._lock:
            self._note = ""
            if place is not self._at or place not in self._places:
                self._refresh()
                return
            number = self._places.index(place)
            following = next((p for p in self._places[number:] + self._places[:number] if p.kept is None), None)
            if following is not None:
                self._show(following, grab=True)
            elif place.card is not None:
                place.card.redraw()
                self._refresh()

    def drop(self, place: Place) -> None:
        """The answer is not kept any more."""
        with self._lock:
            if place.kept is None or place.is_sending:
                return
            place.kept = None
            if place.card is not None:
                place.card.redraw()
            self._refresh()

    def send(self, page: str = "") -> None:
        """Send what is kept, all at once. What is not taken is told at its question; the others count."""
        with self._lock:
            sent = self._kept
            if self._is_sending or not sent:
                return
            self._is_sending = True
            for place in sent:
                place.is_sending, place.sent_by = True, page
            self.box.add_class("hitl-nb-sending")
            if self._at is not None and self._at.card is not None:
                self._at.card.pause()
        problem = ""
        results: list[Decision | Vote | HitlError] = []
        try:
            results = list(self._send_all([(p.request, p.kept.answer) for p in sent if p.kept is not None]))
        except Exception as error:  # noqa: BLE001 - shown where the person looks: a callback's traceback reaches no cell
            problem = told(error)
        finally:  # Interrupt, too
            self._sent(sent, results, problem)

    def _sent(self, sent: Sequence[Place], results: Sequence[Decision | Vote | HitlError], problem: str) -> None:
        with self._lock:
            self._is_sending = False
            self.box.remove_class("hitl-nb-sending")
            for place in sent:
                place.is_sending = False
                if place.card is not None:
                    place.card.resume()
            if self._at is not None and self._at.card is not None:
                self._at.card.resume()
            refused = [place for place, result in zip(sent, results, strict=False) if self._settled(place, result)]
            for place in sent:
                place.sent_by = place.sent_by if place.is_over else None
            self._after(refused, problem)

    def _settled(self, place: Place, result: Decision | Vote | HitlError) -> bool:
        """What became of one answer. True: it was refused, and its question is still open."""
        if isinstance(result, Decision):
            place.leave()
            return False
        if isinstance(result, Vote):
            place.voted(result)
            return False
        if isinstance(result, InvalidAnswerError | DeadlinePassedError | NotEntitledError):
            place.kept, place.problem = None, str(result)
            return True
        place.overtaken(result)
        return False

    def _after(self, refused: Sequence[Place], problem: str) -> None:
        """Go on after sending: to the first answer that was refused, else to what is open."""
        if not self._places:
            self._refresh()
            return
        wanted = refused[0] if refused else self._at or self._next_open(0)
        if wanted is not self._at or refused:
            self._show(wanted, grab=True)
        else:
            assert wanted.card is not None
            wanted.card.redraw()
            self._refresh()
        if problem and wanted.card is not None:
            wanted.card.say_problem(problem)

    # -- what is drawn

    @property
    def _number(self) -> int:
        """Of the question that is shown, from 0."""
        return 0 if self._at is None else self._places.index(self._at)

    @property
    def _kept_by_place(self) -> list[Outcome | None]:
        return [None if p.kept is None else p.kept.outcome for p in self._places]

    @property
    def _kept(self) -> list[Place]:
        return [p for p in self._places if p.kept is not None]

    @property
    def _any_kept(self) -> bool:
        return any(p.kept is not None for p in self._places)

    def _next_open(self, number: int) -> Place:
        """The first question without an answer from here on; one with an answer when there is no other."""
        order = self._places[number:] + self._places[:number]
        return next((p for p in order if p.kept is None), order[0])

    def _show(self, place: Place, *, grab: bool) -> None:
        before, self._at = self._at, place
        if before is place:
            before.put_away()
        card = place.draw(grab=grab)
        self._refresh()
        self.box.children = (self._bar, card.box)
        if before is not None and before is not place:
            before.put_away()

    def _refresh(self, *, single: bool = False) -> None:
        """The bar, and the words of the card that depend on the others."""
        count, total = len(self._kept), len(self._places)
        with self._bar.hold_sync():
            said = plural(total, "question") + (f", {count:,} answered, not sent" if count else "")
            self._bar.label = said if self.is_stacked else ""
            self._bar.tree = bar(self._kept_by_place if self.is_stacked else (), self._number, self._note)
        card = None if self._at is None else self._at.card
        if card is None:
            return
        if single and not self.is_stacked:
            card.redraw()
        else:
            card.restack()
        gone = f"{plural(count, 'answer')} {'was' if count == 1 else 'were'} not sent. " if count else ""
        stored = "The question is stored." if total == 1 else "The questions are stored."
        card.say_lost(f"{gone}{stored} Run the cell again to answer {'it' if total == 1 else 'them'}.")

    def _acted(self, act: Act) -> None:
        """The person goes to another question."""
        with self._lock:
            if act.name != "go" or self._is_sending or self._at is None or self._at.state != "open":
                return
            # A step counts from the question that is shown now, not from the one that the bar was drawn with.
            at = self._number
            to = {"prev": at - 1, "next": at + 1}.get(act.arg, int(act.arg) if act.arg.isdecimal() else -1)
            if 0 <= to < len(self._places) and to != at:
                self._note = ""
                self._show(self._places[to], grab=True)
