"""A page that is gone is noticed when another cell is run; one that is slow, busy or unable to answer is left in peace."""

from hitl_nb.widgets.sight import Sight


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


def test_while_nothing_is_asked_nobody_misses_the_page():
    page = Page()
    page.wait(1)
    page.answers = page.shows_a_card = False
    page.sight.doubt()
    assert not page.wait(60)
