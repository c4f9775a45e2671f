"""Can a person answer here? Asked of a real kernel, by the requests that real front ends and real batch runners send."""

SETUP = """
import os, threading
from hitl_nb.errors import StillWaitingError
from hitl_nb.widgets import front_end
def offer():
    front = front_end.open_front_end()
    return type(front.view).__name__, front.responder is not None
"""


def test_a_front_end_that_takes_input_gets_live_cards(kernel):
    kernel.run(SETUP)
    assert kernel.run("print(offer())", allow_stdin=True) == "('LiveView', True)\n"


def test_a_runner_that_takes_no_input_gets_static_receipts_and_loads_no_widgets(kernel):
    kernel.run(SETUP, allow_stdin=False)
    assert kernel.run("import sys; print(offer(), 'ipywidgets' in sys.modules)", allow_stdin=False) == "('StaticView', False) False\n"


def test_the_environment_overrules_the_front_end(kernel):
    kernel.run(SETUP)
    assert kernel.run("os.environ['HITL_NB_HEADLESS'] = '1'; print(offer())", allow_stdin=True) == "('StaticView', False)\n"


def test_waiting_ends_with_an_error_when_nobody_draws_the_card(kernel):
    kernel.run(SETUP)
    code = """
front_end._SEEN_WITHIN_S = 0.2
front = front_end.open_front_end()
try:
    front.wait(lambda: False, None)
except StillWaitingError as error:
    print(error)
print(front.wait(lambda: False, 0.1), front.wait(lambda: True, None))
"""
    said = kernel.run(code)
    assert "no front end drew it" in said
    assert "HITL_NB_HEADLESS=1" in said
    assert said.endswith("False True\n")


def test_waiting_goes_on_once_a_view_is_drawn(kernel):
    kernel.run(SETUP)
    kernel.run("front = front_end.open_front_end(); front.view.box._view_count = 1; done = threading.Event()")
    assert kernel.run("threading.Timer(0.2, done.set).start(); print(front.wait(done.is_set, 20))") == "True\n"


def test_a_headless_wait_for_an_open_question_says_so_at_once(kernel):
    kernel.run(SETUP, allow_stdin=False)
    code = "try:\n    front_end.open_front_end().wait(lambda: False, None)\nexcept StillWaitingError as error:\n    print(error)"
    assert "headless" in kernel.run(code, allow_stdin=False)


def test_in_voila_a_person_can_answer_and_no_cell_waits(kernel):
    kernel.run(SETUP, allow_stdin=False)
    code = """
os.environ["SERVER_SOFTWARE"] = "voila/0.5.13"
front = front_end.open_front_end()
print(type(front.view).__name__, front.wait(lambda: True, None))
try:
    front.wait(lambda: False, None)
except StillWaitingError as error:
    print(error)
"""
    said = kernel.run(code, allow_stdin=False)
    assert said.startswith("LiveView True")
    assert "in Voila no cell can wait" in said
