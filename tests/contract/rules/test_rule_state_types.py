"""R20: the state as a TypedDict, a dataclass or a pydantic model; what a node is given, what may be written, what is stored."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from operator import add
from typing import Annotated, Any, TypedDict

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.dataclasses import dataclass as pydantic_dataclass

from hitl_nb.checkpoint.disk import DiskCacheSaver
from hitl_nb.checkpoint.memory import MemorySaver
from hitl_nb.errors import ConcurrentUpdateError, InvalidStateError, NodeOutputError, ThreadInputError, UnknownStateKeyWarning
from hitl_nb.graph.asking.interrupt import interrupt
from hitl_nb.graph.builder import StateGraph
from hitl_nb.graph.types import END, START, Command, Overwrite, Send
from hitl_nb.session import review


class Item(BaseModel):
    name: str
    price: float = Field(0.0, allow_inf_nan=False)


class Order(BaseModel):
    """A pydantic state."""

    amount: int
    note: str = "none"
    tags: Annotated[list[str], add] = Field(default_factory=lambda: ["new"])
    items: list[Item] = []
    parent: Order | None = None

    @field_validator("note")
    @classmethod
    def signed(cls, note: str) -> str:
        if "rude" in note:
            raise ValueError("no rude words")
        return note + "!"


class BigOrder(Order):
    """A subclass with a key of its own."""

    discount: float = 0.0


class Mute:
    def __repr__(self):
        raise RuntimeError("no words")


@dataclass
class Sheet:
    """A dataclass state."""

    amount: int
    note: str = "none"
    tags: Annotated[list[str], add] = field(default_factory=lambda: ["new"])
    total: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.total = self.amount * 2


@pydantic_dataclass
class Strict:
    """A dataclass of pydantic's."""

    amount: int


class Row(TypedDict, total=False):
    amount: int
    tags: Annotated[list[str], add]


def reopened(saver: Any) -> Any:
    """The same store as another process finds it; one in memory stays the object it is."""
    if isinstance(saver, MemorySaver):
        return saver
    folder = saver.folder
    saver.close()
    return DiskCacheSaver(folder)


# -- what a node is given ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", [Order, Sheet], ids=lambda s: s.__name__)
def test_a_node_is_given_an_instance_with_the_defaults_of_the_class(chain, saver, run, cfg, schema):
    seen = []

    def look(state):
        seen.append(state)

    result = run(chain(saver, look, schema=schema), {"amount": 1}, cfg)
    assert type(seen[0]) is schema
    assert (seen[0].amount, seen[0].note, seen[0].tags) == (1, "none", ["new"])
    assert {k: result[k] for k in ("amount", "note", "tags")} == {"amount": 1, "note": "none", "tags": ["new"]}
    assert type(result.state) is dict


def test_a_default_is_made_once_for_a_thread_and_anew_for_the_next(chain, saver, cfg):
    made = iter(range(100))

    class Counted(BaseModel):
        number: int = Field(default_factory=lambda: next(made))
        seen: Annotated[list[int], add] = []

    def one(state):
        return {"seen": [state.number]}

    def two(state):
        interrupt("Go on?")
        return {"seen": [state.number]}

    graph = chain(saver, one, two, schema=Counted)
    graph.invoke({}, cfg)
    assert graph.invoke(Command(resume=True), cfg) == {"number": 0, "seen": [0, 0]}
    assert graph.invoke({}, {"configurable": {"thread_id": "another"}})["number"] == 1


@pytest.mark.parametrize("schema", [Order, Sheet], ids=lambda s: s.__name__)
def test_a_mutable_default_is_nobody_elses(chain, saver, cfg, schema):
    def spoil(state):
        state.tags.append("spoiled")

    graph = chain(saver, spoil, schema=schema)
    assert graph.invoke({"amount": 1}, cfg)["tags"] == ["new"]
    assert graph.invoke({"amount": 1}, {"configurable": {"thread_id": "another"}})["tags"] == ["new"]


@pytest.mark.parametrize("schema", [Order, Sheet], ids=lambda s: s.__name__)
def test_what_a_node_sets_on_its_instance_stays_its_own(chain, saver, run, cfg, schema):
    def change(state):
        state.amount = 99
        state.tags.append("mine")
        state.__dict__["extra"] = 1

    def look(state):
        return {"note": f"{state.amount} {state.tags} {hasattr(state, 'extra')}"}

    assert run(chain(saver, change, look, schema=schema), {"amount": 1}, cfg)["note"].rstrip("!") == "1 ['new'] False"


def test_what_a_dataclass_computes_from_its_fields_is_computed_from_the_state(chain, saver, run, cfg):
    def grow(state):
        return {"amount": state.amount + 1}

    def look(state):
        return {"note": str(state.total)}

    assert run(chain(saver, grow, look, schema=Sheet), {"amount": 1}, cfg)["note"] == "0"


def test_a_path_function_is_given_an_instance_too(saver, run, cfg):
    graph = (
        StateGraph(Order)
        .add_node("grow", lambda state: {"amount": state.amount + 1})
        .add_node("more", lambda state: {"note": "more"})
        .add_edge(START, "grow")
        .add_conditional_edges("grow", lambda state: "more" if state.amount > 1 else END)
        .compile(saver)
    )
    assert run(graph, {"amount": 1}, cfg)["note"] == "more!"


def test_the_argument_of_a_send_arrives_as_it_was_sent(saver, run, cfg):
    graph = (
        StateGraph(Order)
        .add_node("work", lambda arg: {"tags": [f"{type(arg).__name__} {arg['amount'] if isinstance(arg, dict) else arg.amount}"]})
        .add_conditional_edges(START, lambda state: [Send("work", {"amount": "7"}), Send("work", Order(amount=8))])
        .compile(saver)
    )
    assert run(graph, {"amount": 1}, cfg)["tags"] == ["new", "dict 7", "Order 8"]


# -- input ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", [Order, Sheet], ids=lambda s: s.__name__)
def test_the_input_may_be_an_instance(chain, saver, run, cfg, schema):
    result = run(chain(saver, lambda_node, schema=schema), schema(amount=3, tags=["given"]), cfg)
    assert (result["amount"], result["note"].rstrip("!"), result["tags"]) == (3, "none", ["given"])


def lambda_node(state):
    return None


def test_input_is_converted_once_by_the_models_fields(chain, saver, run, cfg):
    result = run(chain(saver, lambda_node, schema=Order), {"amount": "7", "note": "x", "items": [{"name": "tea"}]}, cfg)
    assert result == {"amount": 7, "note": "x!", "tags": ["new"], "items": [Item(name="tea")], "parent": None}


@pytest.mark.parametrize(
    ("given", "key", "text"),
    [
        ({"amount": "many"}, "amount", r"state\['amount'\] is 'many' \(str\): Input should be a valid integer"),
        ({}, "amount", r"the input does not fit Order: state\['amount'\] is missing; give it in the input"),
        ({"amount": 1, "note": "rude"}, "note", r"state\['note'\] is 'rude' \(str\): Value error, no rude words"),
        ({"amount": 1, "items": [{"name": "a"}, {"name": 5}]}, "items", r"state\['items'\]\[1\]\['name'\] is 5 \(int\)"),
        ({"amount": 1, "items": [{"name": "a", "price": math.nan}]}, "items", r"state\['items'\]\[0\]\['price'\] is nan \(float\).*finite"),
        ({"amount": math.nan}, "amount", r"state\['amount'\] is nan \(float\)"),
    ],
)
def test_input_that_does_not_fit_the_model_is_refused_and_nothing_is_stored(chain, saver, run, cfg, given, key, text):
    graph = chain(saver, lambda_node, schema=Order)
    with pytest.raises(InvalidStateError, match=text) as caught:
        run(graph, given, cfg)
    assert caught.value.key == key
    assert graph.get_state(cfg).values == {}
    assert run(graph, {"amount": 1}, cfg)["amount"] == 1


def test_input_that_lacks_a_field_of_a_dataclass_is_refused(chain, saver, run, cfg):
    with pytest.raises(InvalidStateError, match=r"the input does not fit Sheet: state\['amount'\] is missing"):
        run(chain(saver, lambda_node, schema=Sheet), {"note": "x"}, cfg)


def test_a_dataclass_that_checks_itself_does_so_when_it_is_read(chain, saver, run, cfg):
    def write(state):
        return {"amount": state.amount + 1}

    graph = chain(saver, write, schema=Strict)
    assert run(graph, {"amount": 3}, cfg) == {"amount": 4}
    with pytest.raises(InvalidStateError, match=r"the input does not fit Strict: state\['amount'\] is 'x' \(str\)"):
        run(graph, {"amount": "x"}, {"configurable": {"thread_id": "another"}})


def test_further_input_of_a_finished_thread_needs_only_what_changes(chain, saver, run, cfg):
    graph = chain(saver, lambda_node, schema=Order)
    run(graph, {"amount": 1}, cfg)
    assert run(graph, {"tags": ["again"]}, cfg) == {"amount": 1, "note": "none", "tags": ["new", "again"], "items": [], "parent": None}


# -- what nodes write -------------------------------------------------------------------------------------------------------------------


def test_a_written_value_is_stored_as_the_models_field_converts_it(chain, saver, run, cfg):
    def write(state):
        return {"amount": "7", "items": [{"name": "tea", "price": "2.5"}], "parent": {"amount": 1}}

    graph = chain(saver, write, schema=Order)
    result = run(graph, {"amount": 1}, cfg)
    assert result["amount"] == 7
    assert result["items"] == [Item(name="tea", price=2.5)]
    assert type(result["parent"]) is Order
    assert graph.get_state(cfg).values["amount"] == 7


def test_each_value_is_checked_once_however_many_nodes_read_it(chain, saver, run, cfg):
    def write(state):
        return {"note": "seen"}

    def read(state):
        return {"tags": [state.note]}

    def again(state):
        return {"tags": [state.note]}

    assert run(chain(saver, write, read, again, schema=Order), {"amount": 1}, cfg)["tags"] == ["new", "seen!", "seen!"]


@pytest.mark.parametrize(
    ("update", "key", "text"),
    [
        ({"amount": "many"}, "amount", r"write wrote what does not fit Order: state\['amount'\] is 'many' \(str\): Input should be a valid integer"),
        ({"note": "rude"}, "note", r"no rude words"),
        ({"tags": [1]}, "tags", r"state\['tags'\]\[1\] is 1 \(int\): Input should be a valid string"),
        ({"items": [{"name": "a", "price": math.nan}]}, "items", r"is nan \(float\).*finite"),
        ({"amount": math.inf}, "amount", r"is inf \(float\)"),
        ({"items": [{}] * 5}, "items", r"state\['items'\]\[0\]\['name'\] is missing; .*; and 2 more"),
        ({"amount": Mute()}, "amount", r"state\['amount'\] is a value without a repr \(Mute\)"),
        ({"amount": "9" * 10_000_000}, "amount", r"state\['amount'\] is '9{199}… \(str\)"),
        ({"parent": {"amount": 1, "parent": {"amount": "x"}}}, "parent", r"state\['parent'\]\['parent'\]\['amount'\] is 'x'"),
    ],
)
def test_a_value_that_does_not_fit_is_the_nodes_own_failure_and_can_be_retried(chain, saver, run, cfg, update, key, text):
    answers = iter([update, {"amount": 5}])

    def write(state):
        return next(answers)

    graph = chain(saver, write, schema=Order)
    with pytest.raises(NodeOutputError, match=text) as caught:
        run(graph, {"amount": 1}, cfg)
    assert (caught.value.node, caught.value.key) == ("write", key)
    (task,) = graph.get_state(cfg).tasks
    assert "NodeOutputError" in (task.error or "")
    assert graph.get_state(cfg).values["amount"] == 1
    assert run(graph, None, cfg)["amount"] == 5


def test_beside_a_node_whose_value_does_not_fit_the_others_keep_their_results(fan, saver, run, cfg):
    ran = []

    def good(state):
        ran.append("good")
        return {"amount": 5}

    def bad(state):
        return {"note": 1 if ran.count("good") and not ran.count("retried") else "fine"}

    graph = fan(saver, good, bad, schema=Order)
    with pytest.raises(NodeOutputError, match="bad wrote what does not fit Order"):
        graph.invoke({"amount": 1}, {**cfg, "max_concurrency": 1})
    ran.append("retried")
    assert run(graph, None, cfg)["amount"] == 5
    assert ran == ["good", "retried"]


def test_what_several_nodes_wrote_together_is_checked_too(fan, saver, run, cfg):
    class Few(BaseModel):
        names: Annotated[list[str], add] = Field([], max_length=3)
        asked: str = ""

    def left(state):
        return {"names": ["a", "b"]}

    def right(state):
        return {"names": ["c", "d"]}

    def ask(state):
        return {"asked": interrupt("What?")}

    graph = fan(saver, left, right, ask, schema=Few)
    assert run(graph, {}, cfg).is_interrupted
    with pytest.raises(NodeOutputError, match=r"state\['names'\].*at most 3"):
        run(graph, Command(resume="x"), cfg)
    assert graph.get_state(cfg).values["names"] == []
    graph.update_state(cfg, {"names": ["z"], "asked": "y"}, as_node="ask")
    assert graph.get_state(cfg).values["names"][:1] == ["z"]


def test_an_update_from_outside_is_checked_as_a_nodes_is(chain, saver, run, cfg):
    def ask(state):
        return {"note": interrupt(f"Pay {state.amount}?")}

    graph = chain(saver, ask, schema=Order)
    run(graph, {"amount": 1}, cfg)
    with pytest.raises(NodeOutputError, match=r"state\['amount'\] is 'x'"):
        graph.update_state(cfg, {"amount": "x"}, as_node="ask")
    with pytest.raises(NodeOutputError, match=r"Command\(update=…\) wrote what does not fit Order"):
        run(graph, Command(update={"amount": "x"}, resume="ok"), cfg)
    assert run(graph, Command(update={"amount": "2"}, resume="ok"), cfg)["amount"] == 2


def test_a_node_may_return_an_instance_a_model_writes_what_was_set(chain, saver, run, cfg):
    def give(state):
        return Order(amount=9)

    assert run(chain(saver, give, schema=Order), {"amount": 1, "note": "kept", "tags": ["t"]}, cfg) == {
        "amount": 9,
        "note": "kept!",
        "tags": ["t"],
        "items": [],
        "parent": None,
    }


def test_a_dataclass_instance_writes_all_its_fields(chain, saver, run, cfg):
    def give(state):
        return Sheet(amount=9)

    result = run(chain(saver, give, schema=Sheet), {"amount": 1, "note": "gone", "tags": ["t"]}, cfg)
    assert result == {"amount": 9, "note": "none", "tags": ["t", "new"], "total": 18}


def test_a_command_may_hold_an_instance(chain, saver, run, cfg):
    def give(state):
        return Command(update=Order(amount=9))

    assert run(chain(saver, give, schema=Order), {"amount": 1}, cfg)["amount"] == 9


def test_the_state_that_a_node_changed_and_returned_is_its_update(chain, saver, run, cfg):
    def give(state):
        state.amount = 9
        state.items.append(Item(name="tea"))
        return state

    result = run(chain(saver, give, schema=Order), {"amount": 1, "items": []}, cfg)
    assert (result["amount"], result["items"]) == (9, [Item(name="tea")])


@pytest.mark.parametrize("returned", [Item(name="x"), Send("give", {}), 5, [1]], ids=repr)
def test_what_is_no_instance_of_the_state_is_no_update(chain, saver, run, cfg, returned):
    def give(state):
        return returned

    with pytest.raises(NodeOutputError, match="'give' returned"):
        run(chain(saver, give, schema=Order), {"amount": 1}, cfg)


# -- pauses, other processes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", [Order, Sheet, BigOrder], ids=lambda s: s.__name__)
def test_values_come_back_as_they_were_after_a_pause_in_a_new_process(chain, saver, run, cfg, schema):
    def ask(state):
        answer = interrupt({"question": f"Pay {state.amount}?", "note": state.note})
        return {"amount": state.amount + answer, "note": "paid"}

    def look(state):
        assert type(state) is schema
        return {"tags": [f"{state.amount}"]}

    assert run(chain(saver, ask, look, schema=schema), {"amount": 5, "tags": []}, cfg).is_interrupted
    again = reopened(saver)
    result = run(chain(again, ask, look, schema=schema), Command(resume=2), cfg)
    assert (result["amount"], result["note"].rstrip("!"), result["tags"]) == (7, "paid", ["7"])
    again.close()


def test_models_inside_the_state_round_trip(chain, saver, run, cfg):
    def ask(state):
        interrupt("Go on?")
        assert state.items == [Item(name="tea", price=1.5)]
        assert state.parent == Order(amount=1, note="p")
        return {"amount": len(state.items)}

    given = {"amount": 5, "items": [Item(name="tea", price=1.5)], "parent": Order(amount=1, note="p")}
    run(chain(saver, ask, schema=Order), given, cfg)
    again = reopened(saver)
    assert run(chain(again, ask, schema=Order), Command(resume=True), cfg)["amount"] == 1
    again.close()


def test_the_state_may_be_of_a_class_that_only_the_function_knows(chain, saver, run, cfg):
    class Own(BaseModel):
        name: str

    class Local(BaseModel):
        own: Own | None = None

    def ask(state):
        interrupt("Go on?")
        return {"own": Own(name=state.own.name * 2)}

    graph = chain(saver, ask, schema=Local)
    run(graph, {"own": {"name": "x"}}, cfg)
    assert run(graph, Command(resume=True), cfg) == {"own": Own(name="xx")}


def test_a_field_that_the_class_got_while_a_thread_waited_reads_as_its_default(chain, saver, run, cfg):
    class Before(BaseModel):
        amount: int = 1

    class After(Before):
        added: int = 7

    def ask(state):
        interrupt("Go on?")
        return {"amount": state.added} if isinstance(state, After) else None

    run(chain(saver, ask, schema=Before), {}, cfg)
    assert run(chain(saver, ask, schema=After), Command(resume=True), cfg)["amount"] == 7


def test_a_review_begins_with_an_instance_and_knows_it_again(chain, saver):
    def ask(state):
        return {"note": interrupt({"question": f"Pay {state.amount}", "type": "text"})}

    graph = chain(saver, ask, schema=Order)
    assert review(graph, Order(amount=1), thread_id="t", answers=["yes"]).result()["note"] == "yes!"
    assert review(graph, Order(amount=1), thread_id="t", answers=[]).result()["note"] == "yes!"
    with pytest.raises(ThreadInputError):
        review(graph, Order(amount=2), thread_id="t", answers=[])


def test_questions_of_side_by_side_nodes_over_a_model_are_answered_one_by_one(fan, saver, run, cfg):
    def left(state):
        return {"amount": interrupt({"left": state.amount})}

    def right(state):
        return {"note": interrupt({"right": state.items})}

    first = run(fan(saver, left, right, schema=Order), {"amount": 1, "items": [{"name": "tea"}]}, cfg)
    assert [i.value for i in first.interrupts] == [{"left": 1}, {"right": [Item(name="tea")]}]
    again = reopened(saver)
    second = run(fan(again, left, right, schema=Order), Command(resume={first.interrupts[0].id: "8"}), cfg)
    assert (second["amount"], len(second.interrupts)) == (8, 1)
    assert run(fan(again, left, right, schema=Order), Command(resume="fine"), cfg)["note"] == "fine!"
    again.close()


def test_a_graph_in_a_node_gets_the_keys_that_its_input_can_hold(chain, saver, run, cfg):
    class Inner(BaseModel):
        amount: int
        found: str = ""

    def double(state):
        return {"amount": str(state.amount * 2), "found": interrupt(f"What is {state.amount}?")}

    inner = chain(None, double, schema=Inner)
    builder = StateGraph(Order).add_node("inner", inner).add_node(lambda_node)
    graph = builder.add_edge(START, "inner").add_edge("inner", "lambda_node").compile(saver)
    assert run(graph, {"amount": 3}, cfg).is_interrupted
    result = run(graph, Command(resume="six"), cfg)
    assert (result["amount"], "found" in result) == (6, False)


def test_what_a_graph_in_a_node_cannot_take_as_input_is_left_out_without_a_warning(saver, run, cfg):
    def work(state):
        return {"answer": repr(sorted(state))}

    inner = StateGraph(Whole, input_schema=Asked, output_schema=Told).add_node(work).add_edge(START, "work").compile()
    graph = StateGraph(Whole).add_node("inner", inner).add_edge(START, "inner").compile(saver)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run(graph, {"question": "q", "draft": "d"}, cfg)["answer"] == "['question']"


def test_an_error_handler_reads_the_state_as_its_node_does(saver, run, cfg):
    def work(state):
        raise OSError(f"no {state.amount}")

    def handle(state, error):
        return {"note": f"{state.amount} {interrupt('What now?')}"}

    graph = StateGraph(Order).add_node(work, error_handler=handle).add_edge(START, "work").compile(saver)
    assert run(graph, {"amount": 1}, cfg).is_interrupted
    assert run(graph, Command(resume="skip"), cfg)["note"] == "1 skip!"


@pytest.mark.parametrize("schema", [Order, Sheet], ids=lambda s: s.__name__)
def test_without_a_checkpointer_it_is_the_same(chain, run, schema):
    def grow(state):
        return {"amount": state.amount + 1}

    assert run(chain(None, grow, schema=schema), {"amount": 1}, {})["amount"] == 2


# -- unknown keys -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", [Order, Sheet, Row], ids=lambda s: s.__name__)
def test_an_unknown_key_is_dropped_with_a_warning(chain, saver, run, cfg, schema):
    def write(state):
        return {"amuont": 1}

    with pytest.warns(UnknownStateKeyWarning, match=rf"write wrote state\['amuont'\], which {schema.__name__} does not have"):
        result = run(chain(saver, write, schema=schema), {"amount": 1}, cfg)
    assert "amuont" not in result


def test_a_strict_graph_refuses_an_unknown_key_as_that_nodes_failure(saver, run, cfg):
    updates = iter([{"amuont": 1}, {"amount": 2}])
    graph = StateGraph(Row, strict=True).add_node("write", lambda state: next(updates)).set_entry_point("write").compile(saver)
    with pytest.raises(NodeOutputError, match=r"write wrote state\['amuont'\], which Row does not have. Known keys: amount, tags") as caught:
        run(graph, {"amount": 1}, cfg)
    assert (caught.value.node, caught.value.key) == ("write", "amuont")
    assert run(graph, None, cfg)["amount"] == 2


def test_a_strict_graph_refuses_unknown_input(saver, run, cfg):
    graph = StateGraph(Row, strict=True).add_node(lambda_node).set_entry_point("lambda_node").compile(saver)
    with pytest.raises(InvalidStateError, match=r"the input wrote state\['amuont'\]"):
        run(graph, {"amuont": 1}, cfg)


def test_a_model_that_forbids_extras_is_strict(chain, saver, run, cfg):
    class Closed(BaseModel):
        model_config = ConfigDict(extra="forbid")
        amount: int = 0

    def write(state):
        return {"amuont": 1}

    with pytest.raises(NodeOutputError, match="amuont"):
        run(chain(saver, write, schema=Closed), {}, cfg)


# -- models with ways of their own ------------------------------------------------------------------------------------------------------


def test_rules_of_the_model_as_a_whole_hold_when_a_node_reads(chain, saver, run, cfg):
    class Span(BaseModel):
        model_config = ConfigDict(frozen=True)
        start: int = Field(0, alias="from")
        end: int = 10
        length: int = -1

        @model_validator(mode="after")
        def ordered(self) -> Span:
            if self.end < self.start:
                raise ValueError("it ends before it starts")
            object.__setattr__(self, "length", self.end - self.start)
            return self

    def move(state):
        return {"start": state.start + 5}

    def look(state):
        return {"end": state.start + state.length - 100}

    def last(state):
        return None

    graph = chain(saver, move, look, last, schema=Span)
    with pytest.raises(InvalidStateError, match="node 'last' reads the state as Span, which it does not fit: Value error, it ends before it starts"):
        run(graph, {"end": 20}, cfg)
    assert graph.get_state(cfg).values["end"] == -80
    assert "InvalidStateError" in (graph.get_state(cfg).tasks[0].error or "")
    graph.update_state(cfg, {"end": 30}, as_node="look")
    assert run(graph, None, cfg)["end"] == 30


def test_a_validator_that_looks_at_other_fields_sees_those_of_the_state(chain, saver, run, cfg):
    class Limited(BaseModel):
        limit: int = 5
        amount: int = 0

        @field_validator("amount")
        @classmethod
        def below(cls, amount: int, info: Any) -> int:
            if amount > info.data["limit"]:
                raise ValueError(f"above the limit of {info.data['limit']}")
            return amount

    def spend(state):
        return {"amount": 8}

    graph = chain(saver, spend, schema=Limited)
    assert run(graph, {"limit": 10}, cfg)["amount"] == 8
    with pytest.raises(NodeOutputError, match="above the limit of 5"):
        run(graph, {}, {"configurable": {"thread_id": "another"}})


# -- input, output and private keys -----------------------------------------------------------------------------------------------------


class Asked(TypedDict):
    question: str


class Told(TypedDict):
    answer: str


class Whole(TypedDict, total=False):
    question: str
    answer: str
    draft: str


class Secret(TypedDict):
    secret: str


def shaped(saver: Any, *nodes: Any, **options: Any) -> Any:
    builder = StateGraph(Whole, input_schema=Asked, output_schema=Told, **options)
    builder.add_sequence(nodes)
    return builder.add_edge(START, nodes[0].__name__).compile(saver)


def test_the_result_shows_the_outputs_keys_and_the_thread_all(saver, run, cfg):
    def work(state):
        return {"draft": "d", "answer": state["question"].upper()}

    graph = shaped(saver, work)
    assert run(graph, {"question": "q"}, cfg) == {"answer": "Q"}
    assert graph.get_state(cfg).values == {"question": "q", "answer": "Q", "draft": "d"}
    assert list(graph.stream({"question": "r"}, cfg, stream_mode="values")) == [{"answer": "Q"}, {"answer": "R"}]


def test_the_result_of_a_pause_shows_the_outputs_keys_too(saver, run, cfg):
    def ask(state):
        return {"answer": interrupt(state["question"])}

    result = run(shaped(saver, ask), {"question": "q"}, cfg)
    assert result.state == {}
    assert result.is_interrupted


def test_input_beyond_the_inputs_keys_is_dropped_with_a_warning(saver, run, cfg):
    def work(state):
        return {"answer": repr(sorted(state))}

    with pytest.warns(UnknownStateKeyWarning, match=r"the input wrote state\['draft'\], which Asked does not have.*Known keys: question"):
        assert run(shaped(saver, work), {"question": "q", "draft": "d"}, cfg) == {"answer": "['question']"}
    with pytest.raises(InvalidStateError, match="draft"):
        run(shaped(MemorySaver(), work, strict=True), {"question": "q", "draft": "d"}, cfg)


def test_a_private_key_passes_from_node_to_node_and_shows_in_no_result(saver, run, cfg):
    def hide(state: Whole) -> Any:
        assert "secret" not in state
        return {"secret": "s"}

    def tell(state: Secret) -> Any:
        assert state == {"secret": "s"}
        return {"answer": state["secret"]}

    def after(state):
        assert "secret" not in state

    graph = shaped(saver, hide, tell, after)
    assert run(graph, {"question": "q"}, cfg) == {"answer": "s"}
    assert graph.get_state(cfg).values["secret"] == "s"


@dataclass
class Part:
    draft: str
    words: int = 3


class Checked(BaseModel):
    draft: int


def test_a_node_may_read_the_state_as_a_class_of_its_own(saver, run, cfg):
    def write(state):
        return {"draft": "12"}

    def part(state: Part) -> Any:
        assert state == Part("12", 3)
        return {"answer": "part"}

    def checked(state: Checked) -> Any:
        assert state.draft == 12
        return {"answer": "checked"}

    assert run(shaped(saver, write, part, checked), {"question": "q"}, cfg) == {"answer": "checked"}


def test_a_node_whose_class_the_state_does_not_fit_fails_alone_and_can_be_retried(saver, run, cfg):
    def part(state: Part) -> Any:
        return {"answer": state.draft}

    graph = shaped(saver, part)
    text = r"node 'part' reads the state as Part, which it does not fit: state\['draft'\] is missing; give it in the input"
    with pytest.raises(InvalidStateError, match=text):
        run(graph, {"question": "q"}, cfg)
    graph.update_state(cfg, {"draft": "late"}, as_node=START)
    assert run(graph, None, cfg) == {"answer": "late"}


def test_what_a_node_reads_may_be_said_when_it_is_added(saver, run, cfg):
    def write(state):
        return {"draft": "d"}

    def part(state):
        return {"answer": f"{state.draft} {state.words}"}

    builder = StateGraph(Whole, output_schema=Told).add_node(write).add_node(part, input_schema=Part)
    graph = builder.add_edge(START, "write").add_edge("write", "part").compile(saver)
    assert run(graph, {"question": "q"}, cfg) == {"answer": "d 3"}


def test_a_free_form_graph_gives_a_node_the_class_it_was_added_with(saver, run, cfg):
    def part(state):
        return {"answer": f"{state.draft} {state.words}", "more": 1}

    graph = StateGraph().add_node(part, input_schema=Part).add_edge(START, "part").compile(saver)
    assert run(graph, {"draft": "d", "words": 4}, cfg) == {"draft": "d", "words": 4, "answer": "d 4", "more": 1}


def test_a_path_function_reads_what_its_annotation_says(saver, run, cfg):
    def write(state):
        return {"draft": "d"}

    def way(state: Part) -> Any:
        return END if state.words == 3 else "write"

    builder = StateGraph(Whole).add_node(write).add_edge(START, "write").add_conditional_edges("write", way)
    assert run(builder.compile(saver), {"question": "q"}, cfg)["draft"] == "d"


def test_an_annotation_in_a_free_form_graph_is_a_remark(chain, saver, run, cfg):
    def look(state: Part) -> Any:
        return {"saw": sorted(state)}

    assert run(chain(saver, look), {"a": 1, "b": 2}, cfg) == {"a": 1, "b": 2, "saw": ["a", "b"]}


# -- Overwrite --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("replacing", [Overwrite(["only"]), {"__overwrite__": ["only"]}], ids=["object", "as JSON"])
def test_an_overwrite_goes_past_the_reducer(chain, saver, run, cfg, replacing):
    def write(state):
        return {"tags": replacing}

    assert run(chain(saver, write, schema=Row), {"tags": ["a", "b"]}, cfg)["tags"] == ["only"]


@pytest.mark.parametrize("order", [("over", "plain"), ("plain", "over")])
def test_an_overwrite_beats_what_others_add_in_its_superstep(fan, saver, run, cfg, order):
    def over(state):
        return {"tags": Overwrite(["o"])}

    def plain(state):
        return {"tags": ["p"]}

    nodes = {"over": over, "plain": plain}
    assert run(fan(saver, *(nodes[name] for name in order), schema=Row), {"tags": ["a"]}, cfg)["tags"] == ["o"]


def test_two_overwrites_of_one_key_in_one_superstep_are_an_error(fan, saver, run, cfg):
    def left(state):
        return {"tags": Overwrite(["l"])}

    def right(state):
        return {"tags": Overwrite(["r"])}

    with pytest.raises(ConcurrentUpdateError, match=r"'left' and 'right' both overwrote state\['tags'\] in one superstep") as caught:
        run(fan(saver, left, right, schema=Row), {"tags": []}, cfg)
    assert caught.value.key == "tags"


def test_an_overwrite_of_a_node_that_finished_survives_while_another_waits(fan, saver, run, cfg):
    def over(state):
        return {"tags": Overwrite(["o"])}

    def ask(state):
        return {"amount": interrupt("How much?")}

    first = run(fan(saver, over, ask, schema=Row), {"tags": ["a"]}, cfg)
    assert first.state["tags"] == ["o"]
    again = reopened(saver)
    assert run(fan(again, over, ask, schema=Row), Command(resume=3), cfg) == {"amount": 3, "tags": ["o"]}
    again.close()


def test_an_overwrite_is_unpacked_for_keys_without_a_reducer_and_checked_by_the_model(chain, saver, run, cfg):
    def write(state):
        return {"amount": Overwrite("7"), "tags": Overwrite(["x"])}

    result = run(chain(saver, write, schema=Order), {"amount": 1}, cfg)
    assert (result["amount"], result["tags"]) == (7, ["x"])

    def wrong(state):
        return {"tags": Overwrite([1])}

    with pytest.raises(NodeOutputError, match=r"state\['tags'\]\[0\] is 1"):
        run(chain(MemorySaver(), wrong, schema=Order), {"amount": 1}, cfg)


def test_input_and_updates_from_outside_may_overwrite(chain, saver, run, cfg):
    graph = chain(saver, lambda_node, schema=Row)
    run(graph, {"tags": ["a"]}, cfg)
    assert run(graph, {"tags": Overwrite(["b"])}, cfg)["tags"] == ["b"]
    graph.update_state(cfg, {"tags": Overwrite(["c"])})
    assert graph.get_state(cfg).values["tags"] == ["c"]
