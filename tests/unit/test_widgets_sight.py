"""A page that is gone is noticed when another cell is run; one that is slow, busy or unable to answer is left in peace."""

from types import SimpleNamespace

from hitl_nb.widgets import front_end
from hitl_nb.widgets.sight import Presence, Sight


class Page:
    """Answers when it is there."""

    def __init__(self, *, answers=True):
        self.answers, self.now, self.pings, self.shows_a_card = answers, 0.0, 0, True
        self.sight = Sight(self.ping, clock=lambda: self.now)

    def ping(self, heard):
        self.pings += 1
        if self.answers:
            heard()
        return self.shows_a_card

    def wait(self, seconds):
        """Look often, as a waiting cell does; whether the page was lost."""
        for _ in range(int(seconds * 20)):
            self.now += 0.05
            if self.sight.look():
                return True
        return False


def test_a_page_that_answers_is_asked_once_and_again_when_a_cell_is_run():
    page = Page()
    assert not page.wait(60)
    assert page.pings == 1
    page.sight.doubt()
    assert not page.wait(60)
    assert page.pings == 2


def test_a_page_that_was_there_and_answers_no_more_is_lost_when_a_cell_is_run():
    page = Page()
    page.wait(1)
    page.answers = False
    assert not page.wait(60)
    page.sight.doubt()
    assert not page.wait(5.9)
    assert page.wait(0.2)
    assert page.sight.is_lost


def test_a_page_that_misses_one_question_is_not_lost():
    page = Page()
    page.wait(1)
    page.answers = False
    page.sight.doubt()
    page.sight.doubt()
    page.wait(2)
    page.answers = True
    assert not page.wait(60)


def test_a_page_that_never_answered_cannot_and_is_not_taken_for_lost():
    page = Page(answers=False)
    page.wait(1)
    page.sight.doubt()
    assert not page.wait(60)
    page.answers = True
    page.wait(2)
    page.answers = False
    assert not page.wait(60)


def test_a_page_that_never_answers_is_asked_ever_less_often():
    page = Page(answers=False)
    page.wait(8 * 60 * 60)
    assert page.pings < 100


def test_a_page_that_never_answered_is_lost_when_a_cell_is_run_from_another_page():
    page = Page(answers=False)
    page.wait(1)
    page.sight.doubt()
    assert not page.wait(60)
    page.sight.doubt(elsewhere=True)
    assert page.wait(6.1)


def test_another_page_that_answers_when_a_cell_is_run_there_shows_the_card():
    page = Page(answers=False)
    page.wait(1)
    page.sight.doubt(elsewhere=True)
    assert not page.wait(2)
    page.answers = True
    assert not page.wait(60)


def test_while_nothing_is_asked_nobody_misses_the_page():
    page = Page()
    page.wait(1)
    page.answers = page.shows_a_card = False
    page.sight.doubt()
    assert not page.wait(60)


def test_whoever_is_doubted_while_nothing_is_asked_is_missed_once_something_is():
    page = Page()
    page.wait(1)
    page.answers = page.shows_a_card = False
    page.sight.doubt()
    page.wait(60)
    page.shows_a_card = True
    assert not page.wait(6)  # it is asked twice
    assert page.wait(3.2)


def test_a_page_that_shows_what_is_asked_after_it_was_doubted_is_there():
    page = Page()
    page.wait(1)
    page.answers = page.shows_a_card = False
    page.sight.doubt(elsewhere=True)
    page.wait(60)
    page.answers = page.shows_a_card = True
    assert not page.wait(60)


def test_the_time_until_the_card_is_drawn_is_a_part_of_the_time_that_a_cell_waits(monkeypatch):
    now, waits = [0.0], []

    def wait(ready, timeout_s, *, kept=None):
        waits.append(timeout_s)
        now[0] += 3
        return True

    monkeypatch.setattr(front_end.pump, "wait", wait)
    monkeypatch.setattr(front_end.time, "monotonic", lambda: now[0])
    front_end._wait(SimpleNamespace(ping=None, awaited=lambda: None), lambda: False, 20)
    assert waits == [5, 17]


class Watched:
    """A page that shows something, and a kernel that may be busy."""

    def __init__(self):
        self.now, self.pings, self.is_there, self.is_busy, self.waiting = 0.0, 0, True, False, []
        self.presence = Presence(self.ping, self.when_free, clock=lambda: self.now)

    def when_free(self, call):
        self.waiting.append(call)
        self.work()

    def work(self):
        while not self.is_busy and self.waiting:
            self.waiting.pop(0)()

    def ping(self):
        self.pings += 1
        if self.is_there:
            self.waiting.append(self.presence.heard)
        self.work()

    def wait(self, seconds):
        """Look twice a second; whether a page was there all the time."""
        for _ in range(int(seconds * 2)):
            self.now += 0.5
            if not self.presence.look():
                return False
        return True


def test_a_page_that_answers_now_and_then_is_there():
    page = Watched()
    assert page.wait(600)
    assert page.pings == 60


def test_a_page_that_is_closed_is_noticed_within_a_minute_and_one_that_comes_back_counts_anew():
    page = Watched()
    page.wait(60)
    page.is_there = False
    assert page.wait(25)
    assert not page.wait(35)
    page.is_there = True
    page.presence.heard()
    assert page.wait(60)


def test_a_page_is_not_given_up_while_the_kernel_hears_nobody():
    page = Watched()
    page.is_busy = True
    assert page.wait(600)
    page.is_busy = False
    page.work()
    assert page.wait(600)
