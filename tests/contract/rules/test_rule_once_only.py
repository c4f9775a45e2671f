"""R7: of two who answer, or run, one wins; the other is told who and when; the side effect happens once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from hitl_nb.checkpoint.disk import DiskCacheSaver
from hitl_nb.checkpoint.records import Decision, utc_now
from hitl_nb.errors import AlreadyAnsweredError, ThreadBusyError
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.types import Command


def side_by_side(calls):
    """Start all calls at once; what each returned or raised."""
    gate, found = threading.Barrier(len(calls)), [None] * len(calls)

    def one(n, call):
        gate.wait()
        try:
            found[n] = call()
        except Exception as error:
            found[n] = error

    threads = [threading.Thread(target=one, args=item) for item in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(t.is_alive() for t in threads)
    return found


def as_reviewer(name: str) -> dict[str, Any]:
    return {"configurable": {"thread_id": "t-1", "reviewer": name}}


def test_of_four_reviewers_in_threads_one_wins_and_the_node_goes_on_once(chain, saver, cfg):
    effects = []

    def pay(state):
        answer = interrupt("Pay?")
        effects.append(answer)
        return {"by": answer}

    graph = chain(saver, pay)

    def answer(name, thread, question):
        return graph.invoke(Command(resume={question: name}), {"configurable": {"thread_id": thread, "reviewer": name}})

    for n in range(10):
        effects.clear()
        thread = f"t-{n}"
        question = graph.invoke({}, {"configurable": {"thread_id": thread}}).interrupts[0].id
        found = side_by_side([partial(answer, name, thread, question) for name in ("ada", "bob", "cy", "di")])
        winners = [r for r in found if isinstance(r, dict)]
        losers = [r for r in found if not isinstance(r, dict)]
        assert len(winners) == 1
        winner = winners[0]["by"]
        assert effects == [winner]
        assert {type(e) for e in losers} == {AlreadyAnsweredError}
        assert {e.reviewer for e in losers} == {winner}
        assert {e.answered_at for e in losers} == {saver.decisions(thread)[0].decided_at}
        assert len(saver.decisions(thread)) == 1


def test_a_second_runner_of_a_thread_is_told_that_it_is_busy(chain, saver, cfg):
    inside, leave = threading.Event(), threading.Event()
    runs = []

    def slow(state):
        runs.append(1)
        inside.set()
        assert leave.wait(20)
        return {"x": 1}

    graph = chain(saver, slow)
    runner = threading.Thread(target=graph.invoke, args=({}, cfg))
    runner.start()
    assert inside.wait(20)
    for call in (
        lambda: graph.invoke(None, cfg),
        lambda: graph.invoke({}, cfg),
        lambda: graph.update_state(cfg, {"x": 5}),
        lambda: graph.invoke(Command(update={"x": 5}), cfg),
    ):
        with pytest.raises(ThreadBusyError, match="t-1"):
            call()
    leave.set()
    runner.join(20)
    assert len(runs) == 1
    assert graph.invoke(None, cfg) == {"x": 1}


def test_an_answer_to_a_busy_thread_is_recorded_and_its_runner_goes_on_with_it(fan, saver, cfg):
    inside, leave = threading.Event(), threading.Event()
    effects = []

    def slow(state):
        answer = interrupt("slow?")
        inside.set()
        assert leave.wait(20)
        return {"slow": answer}

    def quick(state):
        answer = interrupt("quick?")
        effects.append(answer)
        return {"quick": answer}

    graph = fan(saver, slow, quick)
    first, second = (i.id for i in graph.invoke({}, cfg).interrupts)
    results = []
    runner = threading.Thread(target=lambda: results.append(graph.invoke(Command(resume={first: "S"}), cfg)))
    runner.start()
    assert inside.wait(20)
    with pytest.raises(ThreadBusyError, match="recorded") as caught:
        graph.invoke(Command(resume={second: "Q"}), as_reviewer("bob"))
    assert caught.value.answer_recorded
    leave.set()
    runner.join(20)
    assert results == [{"slow": "S", "quick": "Q"}]
    assert effects == ["Q"]


def test_whose_run_is_over_is_not_told_that_somebody_else_runs_the_thread_now(fan, saver, cfg, monkeypatch):
    def slow(state):
        return {"slow": interrupt("slow?")}

    def quick(state):
        return {"quick": interrupt("quick?")}

    graph = fan(saver, slow, quick)
    first, second = (i.id for i in graph.invoke({}, cfg).interrupts)
    guard, taken = saver.guard, []

    @contextmanager
    def then_somebody_else(thread_id):
        if taken:
            raise ThreadBusyError("somebody else runs it", thread_id=thread_id)
        taken.append(thread_id)
        with guard(thread_id):
            yield
        question = saver.question(second)
        saver.answer(thread_id, [Decision(second, thread_id, question.node, -1, "Q", "bob", utc_now(), "test", question.digest)])

    monkeypatch.setattr(saver, "guard", then_somebody_else)
    result = graph.invoke(Command(resume={first: "S"}), cfg)
    assert [i.id for i in result.interrupts] == [second]
    monkeypatch.undo()
    assert graph.advance(cfg) == {"slow": "S", "quick": "Q"}


def test_a_double_resume_after_the_end_does_not_repeat_the_action(chain, saver, run, cfg):
    effects = []

    def pay(state):
        effects.append(interrupt("Pay?"))

    graph = chain(saver, pay)
    question = run(graph, {}, cfg).interrupts[0]
    run(graph, Command(resume={question.id: 1}), cfg)
    with pytest.raises(AlreadyAnsweredError, match="ada"):
        run(graph, Command(resume={question.id: 1}), as_reviewer("bob"))
    assert effects == [1]


_PROCESS = """
import sys
from pathlib import Path
from hitl_nb.checkpoint.disk import DiskCacheSaver
from hitl_nb.errors import HitlError
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.types import START, Command

folder, who = Path(sys.argv[1]), sys.argv[2]

def pay(state):
    answer = interrupt({"pay": state["n"]})
    with open(folder / "effects", "a") as out:
        out.write(f"{answer}\\n")
    return {"by": answer}

graph = StateGraph().add_node("pay", pay).add_edge(START, "pay").compile(DiskCacheSaver(folder / "store"))
print("ready", flush=True)
for line in sys.stdin:
    thread, question = line.split()
    config = {"configurable": {"thread_id": thread, "reviewer": who}}
    try:
        print("won", graph.invoke(Command(resume={question: who}), config)["by"], flush=True)
    except HitlError as error:
        print(type(error).__name__, error.reviewer, error.answered_at is not None, flush=True)
"""


def test_of_two_processes_one_wins_each_round_and_the_side_effect_happens_once(chain, tmp_path):
    def pay(state):
        interrupt({"pay": state["n"]})

    graph = chain(DiskCacheSaver(tmp_path / "store"), pay)
    rounds = 10
    ids = [graph.invoke({"n": n}, {"configurable": {"thread_id": f"t-{n}"}}).interrupts[0].id for n in range(rounds)]
    workers = {
        who: subprocess.Popen(
            [sys.executable, "-c", _PROCESS, str(tmp_path), who], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
        )
        for who in ("ada", "bob")
    }
    try:
        for worker in workers.values():
            assert worker.stdout.readline() == "ready\n"
        for n in range(rounds):
            for worker in workers.values():
                worker.stdin.write(f"t-{n} {ids[n]}\n")
                worker.stdin.flush()
            told = {who: worker.stdout.readline().split() for who, worker in workers.items()}
            winner = saver_decisions(graph, n)[0].reviewer
            loser = "bob" if winner == "ada" else "ada"
            assert told[winner] == ["won", winner]
            assert told[loser] == ["AlreadyAnsweredError", winner, "True"]
    finally:
        for worker in workers.values():
            worker.communicate(timeout=20)
    effects = (tmp_path / "effects").read_text().split()
    assert effects == [saver_decisions(graph, n)[0].reviewer for n in range(rounds)]


def saver_decisions(graph, n):
    decisions = graph.checkpointer.decisions(f"t-{n}")
    assert len(decisions) == 1
    return decisions


_HOLDER = """
import sys
from hitl_nb.checkpoint.disk import DiskCacheSaver
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.types import START

def slow(state):
    print("inside", flush=True)
    sys.stdin.readline()

graph = StateGraph().add_node("slow", slow).add_edge(START, "slow").compile(DiskCacheSaver(sys.argv[1]))
graph.invoke({}, {"configurable": {"thread_id": "t-1"}})
"""


def test_another_process_finds_the_thread_busy_and_a_killed_owner_frees_it_at_once(chain, tmp_path, cfg):
    def slow(state):
        return {"x": 1}

    graph = chain(DiskCacheSaver(tmp_path), slow)
    holder = subprocess.Popen([sys.executable, "-c", _HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "inside\n"
        with pytest.raises(ThreadBusyError, match=f"process {holder.pid}"):
            graph.invoke(None, cfg)
    finally:
        holder.kill()
        holder.wait(20)
    assert graph.invoke(None, cfg) == {"x": 1}
