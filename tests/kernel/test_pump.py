"""Waiting inside a cell of a real kernel."""

import pytest

SETUP = """
import threading, time
from hitl_nb.errors import StillWaitingError
from hitl_nb.widgets.pump import wait
heard, log = [], []
def target(comm, _):
    @comm.on_msg
    def receive(message):
        data = message["content"]["data"]
        if data.get("fail"):
            raise RuntimeError("a callback went wrong")
        if data.get("say"):
            print(data["say"])
        heard.append(data["word"])
get_ipython().kernel.comm_manager.register_target("test", target)
"""
WAITING = "print('waiting', flush=True)\nwait(lambda: 'go' in heard)\nprint(heard)"


@pytest.fixture
def waiting(kernel):
    """The request of a cell that waits until a comm brings the word `go`."""
    kernel.run(SETUP)
    kernel.idle(kernel.open_comm("c", "test"))
    request = kernel.send(WAITING)
    kernel.until(lambda m: m["content"].get("text") == "waiting\n")
    return request


def test_a_widget_message_is_handled_while_the_cell_waits(kernel, waiting):
    for word in ("one", "two", "go"):
        kernel.tell("c", word=word)
    assert kernel.reply(waiting)["status"] == "ok"
    assert kernel.printed(waiting).endswith("['one', 'two', 'go']\n")


def test_a_widget_can_be_opened_and_the_kernel_asked_about_itself_while_the_cell_waits(kernel, waiting):
    kernel.open_comm("d", "test")
    assert kernel.reply(kernel.message("kernel_info_request"))["status"] == "ok"
    assert set(kernel.reply(kernel.message("comm_info_request"))["comms"]) == {"c", "d"}
    kernel.tell("d", word="go")
    assert kernel.reply(waiting)["status"] == "ok"


def test_each_message_gets_busy_and_idle_and_the_waiting_cell_stays_busy(kernel, waiting):
    first = kernel.tell("c", word="one")
    states = [m["content"]["execution_state"] for m in kernel.idle(first) if m["msg_type"] == "status"]
    assert states == ["busy", "idle"]
    after = kernel.until(lambda m: m is kernel.outputs[-1] and m["msg_type"] == "status" and m["parent_header"]["msg_id"] == waiting)
    assert after["content"]["execution_state"] == "busy"
    kernel.tell("c", word="go")
    kernel.reply(waiting)


def test_what_a_callback_prints_lands_in_the_waiting_cell(kernel, waiting):
    kernel.tell("c", word="one", say="from the callback")
    kernel.tell("c", word="go")
    kernel.reply(waiting)
    assert "from the callback\n" in kernel.printed(waiting)


def test_a_failing_callback_does_not_end_the_wait(kernel, waiting):
    kernel.tell("c", fail=True)
    kernel.tell("c", word="go")
    assert kernel.reply(waiting)["status"] == "ok"


def test_other_requests_are_answered_after_the_wait_in_their_order(kernel, waiting):
    cells = [kernel.send(f"log.append({n}); print(log)") for n in range(4)]
    completion = kernel.message("complete_request", code="prin", cursor_pos=4)
    kernel.tell("c", word="go")
    assert kernel.reply(waiting)["status"] == "ok"
    assert [kernel.printed(c) for c in cells] == ["[0]\n", "[0, 1]\n", "[0, 1, 2]\n", "[0, 1, 2, 3]\n"]
    assert "print" in kernel.reply(completion)["matches"]


def test_two_cells_wait_one_after_the_other(kernel, waiting):
    second = kernel.send("wait(lambda: 'on' in heard); print(heard)")
    kernel.tell("c", word="go")
    assert kernel.reply(waiting)["status"] == "ok"
    kernel.tell("c", word="on")
    assert kernel.reply(second)["status"] == "ok"


def test_a_click_between_two_cells_that_wait_reaches_the_second(kernel, waiting):
    """It comes right after the first has ended, when the kernel may read it before the second begins."""
    words = [f"word {n}" for n in range(25)]
    cells = [kernel.send(f"wait(lambda: {word!r} in heard)") for word in words]
    kernel.tell("c", word="go")
    assert kernel.reply(waiting)["status"] == "ok"
    for word, cell in zip(words, cells, strict=True):
        kernel.tell("c", word=word)
        assert kernel.reply(cell)["status"] == "ok"


def test_an_interrupt_ends_the_wait_and_aborts_the_cells_behind_it_as_after_any_error(kernel, waiting):
    behind = kernel.send("log.append('ran')")
    asked = kernel.message("complete_request", code="prin", cursor_pos=4)
    kernel.manager.interrupt_kernel()
    reply = kernel.reply(waiting, seconds=5)
    assert (reply["status"], reply["ename"]) == ("error", "KeyboardInterrupt")
    assert kernel.reply(behind)["status"] == "aborted"
    assert "print" in kernel.reply(asked)["matches"]
    assert kernel.run("print(log, 1 + 1)") == "[] 2\n"


def test_a_worker_thread_can_end_the_wait(kernel):
    kernel.run(SETUP)
    assert kernel.run("done = threading.Event()\nthreading.Timer(0.1, done.set).start()\nprint(wait(done.is_set, 20))") == "True\n"


def test_the_wait_ends_after_its_time_with_false(kernel):
    kernel.run(SETUP)
    assert kernel.run("print(wait(lambda: False, 0.1), wait(lambda: True, 0))") == "False True\n"


def test_another_thread_is_told_that_it_cannot_wait(kernel):
    kernel.run(SETUP)
    code = """
def attempt():
    try:
        wait(lambda: False, 1)
    except StillWaitingError as error:
        log.append(str(error))
t = threading.Thread(target=attempt, name="worker-7"); t.start(); t.join()
print(log[0])
"""
    said = kernel.run(code)
    assert "'worker-7'" in said
    assert "answer it in its card" in said


def test_a_callback_is_told_that_it_cannot_wait(kernel):
    kernel.run(SETUP)
    kernel.run(
        "def attempt(comm, _):\n    try:\n        wait(lambda: False, 1)\n    except StillWaitingError as error:\n        log.append(str(error))\n"
        "get_ipython().kernel.comm_manager.register_target('attempt', attempt)"
    )
    kernel.idle(kernel.open_comm("a", "attempt"))
    assert "callback" in kernel.run("print(log)")


def test_a_kernel_without_the_needed_names_is_told_apart_instead_of_guessed(kernel):
    kernel.run(SETUP)
    code = """
from hitl_nb.widgets import pump
class Other:
    shell_channel_thread = None
    shell_stream = object()
    def get_parent(self, channel):
        return {}
try:
    pump._Pump(Other())
except StillWaitingError as error:
    print(error)
"""
    said = kernel.run(code)
    assert "cannot wait inside a cell" in said
    assert "nothing is lost" in said
