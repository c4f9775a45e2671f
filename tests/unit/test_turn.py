"""One runner at a time, and nothing that was wanted is left lying."""

from __future__ import annotations

import pytest

from hitl_nb.errors import ThreadBusyError
from hitl_nb.session.turn import BUSY_WAIT_S, Turn, patiently


def test_a_thread_that_stays_busy_is_given_up_after_a_minute():
    pauses: list[float] = []

    def busy() -> None:
        raise ThreadBusyError("busy")

    with pytest.raises(ThreadBusyError):
        patiently(busy, pauses.append)
    assert BUSY_WAIT_S <= sum(pauses) < BUSY_WAIT_S + 2


def test_a_run_that_was_wanted_while_another_ended_is_taken_by_exactly_one():
    turn, rounds = Turn(), []
    turn.want()
    assert turn.take()
    assert not turn.take()

    def one_round() -> None:
        rounds.append(1)
        if len(rounds) == 1:
            turn.want()
            assert not turn.take()

    turn.run(one_round)
    assert (len(rounds), turn.is_taken, turn.take()) == (2, False, False)


def test_a_worker_leaves_the_run_to_a_waiting_cell_and_what_was_cut_off_to_whoever_asks():
    turn = Turn()
    turn.waits("cell")
    turn.want()
    assert not turn.take(as_worker=True)
    turn.waits_no_more("cell")
    assert turn.take(as_worker=True)
    with pytest.raises(KeyError):
        turn.run(lambda: {}["missing"])
    assert not turn.take(as_worker=True)
    assert not turn.is_running
    assert turn.take()


def test_a_ctrl_c_between_taking_the_turn_and_running_leaves_it_free():
    class Pressed(Turn):
        def take(self, **options) -> bool:
            super().take(**options)
            raise KeyboardInterrupt

    turn = Pressed()
    turn.want()
    with pytest.raises(KeyboardInterrupt):
        turn.go(lambda: None)
    assert (turn.is_taken, turn.is_wanted, turn.is_running) == (False, True, False)
