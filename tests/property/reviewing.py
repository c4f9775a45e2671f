"""Drives a thread to its end in random ways: which call goes on, in which order and by which way answers come."""

from __future__ import annotations

import asyncio
import warnings
from random import Random
from typing import Any

from graphs import AT, HANDLER, INPUT, OutageError, World, all_nodes, answer_of, number, questions

from hitl_nb import Command, Decision
from hitl_nb.errors import AlreadyAnsweredError, ThreadBusyError, UnusedAnswersWarning

THREAD = "t"


class Reviewer:
    """One process's view of the thread: a graph object, a checkpointer, and a source of choices."""

    def __init__(self, graph: Any, spec: Any, world: World, rng: Random) -> None:
        self.graph, self.saver, self.world, self.rng = graph, graph.checkpointer, world, rng
        self.nodes = all_nodes(spec)
        self.config = {"configurable": {"thread_id": THREAD, "reviewer": "Ann"}, "recursion_limit": 300}
        if rng.random() < 0.5:
            self.config["max_concurrency"] = rng.choice([1, 2])

    # -- running ------------------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        self._run(INPUT)

    def go_on(self) -> None:
        """Whatever can go on goes on."""
        if self.rng.random() < 0.4:
            self._protected(lambda: self.graph.advance(self.config))
        else:
            self._run(None)

    def _run(self, given: Any) -> None:
        graph, config, durability = self.graph, self.config, self.rng.choice(["sync", "sync", "async", "exit"])

        def stream() -> None:
            for _ in graph.stream(given, config, stream_mode=["debug", "updates"], subgraphs=True, durability=durability):
                pass

        async def astream() -> None:
            async for _ in graph.astream(given, config, stream_mode=["values", "updates"], durability=durability):
                pass

        ways = [
            lambda: graph.invoke(given, config, durability=durability),
            lambda: asyncio.run(graph.ainvoke(given, config, durability=durability)),
            stream,
            lambda: asyncio.run(astream()),
        ]
        self._protected(self.rng.choice(ways))

    def _protected(self, call: Any) -> None:
        """Carry on after a node's failure, as a person would who sees one; what a call returned is where the thread stands."""
        while True:
            try:
                result = call()
            except OutageError:
                failed = [t.error for t in self.graph.get_state(self.config).tasks if t.error]
                assert failed, "a node failed and get_state does not say so"
                call = lambda: self.graph.advance(self.config)  # noqa: E731
                continue
            if result is not None:
                shown = self.graph.get_state(self.config)
                assert (result.state, result.next, result.interrupts) == (shown.values, shown.next, shown.interrupts)
            return

    # -- answering ----------------------------------------------------------------------------------------------------------------

    def answer(self) -> list[str]:
        """Answer some of the open questions, one way or another, and go on; the ids of those that were taken for certain."""
        rng, shown = self.rng, self.graph.get_state(self.config)
        asked = list(shown.interrupts)
        some = rng.sample(asked, rng.randint(1, len(asked)))
        by_id = {i.id: answer_of(i.value) for i in some}
        if "when" in asked[0].value and rng.random() < 0.6:  # a static pause stands alone
            assert len(asked) == 1
            self._run(rng.choice([None, Command(resume=None), Command(resume=True)]))
            return [asked[0].id]
        match rng.choice(["one by one", "together", "map", "map", "list", "list", "value"]):
            case "one by one":
                some = some[: rng.randint(1, len(some))]
                for i in some:
                    self.saver.answer(THREAD, [self._decision(i)])
                self.go_on()
            case "together":
                self.saver.answer(THREAD, [self._decision(i) for i in some])
                self.go_on()
            case "list":
                some = asked[: rng.randint(1, len(asked))]
                answers = [answer_of(i.value) for i in some]
                if len(some) == len(asked) and all(t.interrupts or t.result is not None for t in shown.tasks):
                    further = self._further(asked)
                    answers += further[: rng.choice([len(further), rng.randint(0, len(further))])]
                with warnings.catch_warnings():
                    if self.world.intruder is not None:  # where somebody else answers, the order says nothing any more, and the rest is left over
                        warnings.simplefilter("ignore", UnusedAnswersWarning)
                    self._run(Command(resume=answers))
            case "value" if len(asked) == 1 and not isinstance(answer_of(asked[0].value), list):
                self._run(Command(resume=answer_of(asked[0].value)))
            case _:
                self._run(Command(resume=by_id))
        return [i.id for i in some]

    def _decision(self, i: Any) -> Decision:
        question = self.saver.question(i.id)
        return Decision(i.id, THREAD, i.node, -1, answer_of(i.value), "Bob", AT, "test", question.digest)

    def _further(self, asked: list[Any]) -> list[Any]:
        """The answers to what the nodes that wait will ask before they end, in the order in which they will ask."""
        if not all("execution" in i.value and i.value["position"] < HANDLER and not self.nodes[i.node].inside for i in asked):
            return []
        left = [self._still_asked(self.nodes[i.node], i.value) for i in asked]
        rounds = max(map(len, left))
        return [answer_of(payload) for n in range(rounds) for payloads in left if n < len(payloads) and (payload := payloads[n]) is not None]

    @staticmethod
    def _still_asked(node: Any, asked: dict[str, Any]) -> list[Any]:
        """What a node asks after this question, round for round; None where it fails, and its handler asks in the round after."""
        left = questions(node, asked["execution"])[asked["position"] + 1 :]
        handler = {"node": node.name, "execution": asked["execution"], "position": HANDLER}
        return [*left, None, handler] if node.helped else left


class Intruder:
    """Another process, as it were, that reaches for a thread that is being run: it may answer, and it must not run."""

    def __init__(self, graph: Any, seed: int) -> None:
        self.graph, self.saver, self.seed = graph, graph.checkpointer, seed
        self.config = {"configurable": {"thread_id": THREAD, "reviewer": "Eve"}}

    def while_a_node_runs(self, moment: str) -> None:
        asked = self.graph.get_state(self.config).interrupts
        mine = asked[number(moment, "which") % len(asked)] if asked else None
        does = number(moment, self.seed) % 6
        try:
            if does == 0 and mine is not None:
                self._answer(mine)
            elif does == 1 and mine is not None:
                self._refused(lambda: self.graph.invoke(Command(resume={mine.id: answer_of(mine.value)}), self.config), recorded=True)
            elif does == 2:
                self._refused(lambda: self.graph.advance(self.config), recorded=False)
        except AlreadyAnsweredError:  # another node's intruder was faster
            pass

    def before_the_thread_is_free(self) -> None:
        """The run has looked for answers for the last time, or so it may think."""
        asked = self.graph.get_state(self.config).interrupts
        if asked and number(asked[0].id, self.seed) % 3 == 0:
            self._answer(asked[0])

    def _answer(self, i: Any) -> None:
        question = self.saver.question(i.id)
        self.saver.answer(THREAD, [Decision(i.id, THREAD, i.node, -1, answer_of(i.value), "Eve", AT, "test", question.digest)])

    def _refused(self, call: Any, *, recorded: bool) -> None:
        try:
            call()
        except ThreadBusyError as error:
            busy = error
        else:
            raise AssertionError("two runs of one thread at once")
        assert busy.answer_recorded == recorded
