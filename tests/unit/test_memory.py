"""A store in memory stays whole, wherever a Ctrl-C comes."""

import pytest

from hitl_nb import MemorySaver, StateGraph, interrupt
from hitl_nb.errors import ThreadBusyError


class _Interrupted(dict):
    """Records that a Ctrl-C hits as the second one is written by itself."""

    writes = 0

    def __setitem__(self, key, value):
        self.writes += 1
        if self.writes == 2:
            raise KeyboardInterrupt
        super().__setitem__(key, value)


def test_a_transaction_that_a_ctrl_c_meets_is_there_whole_or_not_at_all():
    saver = MemorySaver()
    saver._records = _Interrupted()
    graph = StateGraph().add_node("ask", lambda state: {"ok": interrupt("Ok?")}).set_entry_point("ask").compile(saver)
    config = {"configurable": {"thread_id": "t"}}
    graph.invoke({}, config)
    assert graph.get_state(config).next == ("ask",)


def test_a_guard_that_was_cut_off_before_it_could_say_so_frees_its_thread():
    saver = MemorySaver()

    class CutOffError(Exception):
        pass

    class Lock:
        """Raises as the guard has just taken the thread."""

        def __enter__(self):
            return None

        def __exit__(self, *_):
            raise CutOffError

    whole, saver._running_lock = saver._running_lock, Lock()
    with pytest.raises(CutOffError), saver.guard("t"):
        pass
    saver._running_lock = whole
    with saver.guard("t"), pytest.raises(ThreadBusyError), saver.guard("t"):
        pass


def test_wrong_arguments_of_a_history_are_an_error_at_the_call():
    with pytest.raises(TypeError):
        MemorySaver().history("t", nope=1)
