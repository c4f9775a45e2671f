"""Renderers of the user's own, without a browser: which question they draw, what they may return, and what becomes of what they raise."""

import re
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import ipywidgets
import pytest

from hitl_nb import (
    START,
    Drawing,
    InvalidAnswerError,
    MemorySaver,
    StateGraph,
    forget_renderer,
    h,
    interrupt,
    markdown,
    renderer,
    renderers,
    review,
)
from hitl_nb.checkpoint.records import Decision, Question
from hitl_nb.decisions.check import answer_schema, check_answer
from hitl_nb.decisions.forms import form_for
from hitl_nb.decisions.request import Request
from hitl_nb.errors import RendererError
from hitl_nb.widgets import renderers as module
from hitl_nb.widgets.callbacks import errors_told
from hitl_nb.widgets.card import Card
from hitl_nb.widgets.controls import close
from hitl_nb.widgets.renderers import rule_for
from hitl_nb.widgets.surface import Surface
from hitl_nb.widgets.tree_html import html_of

AT = datetime(2026, 11, 20, 9, 41, tzinfo=UTC)
RATING = {"kind": "rating", "film": "Duel in the Sun", "<b>": "<img src=x onerror=alert(1)>"}


def is_rating(request):
    return request.payload["kind"] == "rating"


def a_request(payload=None, schema=None):
    question = Question("q", "t", "rate", "t", 0, "", RATING if payload is None else payload, AT, schema=schema)
    return Request(question, form_for(question))


class Stage:
    """A card with its answers; what the page would send is handed over by hand."""

    def __init__(self, payload=None, schema=None):
        self.request = a_request(payload, schema)
        self.sent, self.before = [], set(open_widgets())
        self.card = Card(self.request, self.submit, lambda *_: None, now=lambda: AT)

    def submit(self, answer, *, reviewer=None):
        taken = check_answer(self.request.question, answer)
        self.sent.append(taken)
        return Decision("q", "t", "rate", 1, taken, "Dana", AT, "card")

    def all(self):
        def below(widget):
            return [widget, *(w for child in getattr(widget, "children", ()) for w in below(child))]

        return below(self.card.box)

    def shown(self):
        def below(widget):
            if widget.layout.display == "none":
                return []
            return [widget, *(w for child in getattr(widget, "children", ()) for w in below(child))]

        return below(self.card.box)

    @property
    def text(self):
        return "\n".join(w.value for w in self.shown() if isinstance(w, ipywidgets.HTML))

    def buttons(self):
        return [w.description for w in self.shown() if isinstance(w, ipywidgets.Button)]

    def press(self, label):
        """As the page does: the press comes first, the echo after whatever the page still held back."""
        button = next(w for w in self.shown() if isinstance(w, ipywidgets.Button) and w.description == label)
        number = next((c.rpartition("-")[2] for c in button._dom_classes if c.startswith("hitl-nb-press-")), None)
        if number is None:
            button.click()
            return
        surface = next(w for w in self.all() if isinstance(w, Surface))
        messages = []
        surface.send = messages.append
        surface._handle_custom_msg({"press": int(number), "text": None, "comment": None, "fields": {}}, [])
        self.in_between()
        for message in messages:
            if "echo" in message:
                surface._handle_custom_msg({"echoed": message["echo"]}, [])

    def in_between(self):
        """What arrives between a press and its echo."""


def open_widgets():
    return ipywidgets.widgets.widget._instances


@pytest.fixture(autouse=True)
def none_registered():
    module._RULES.clear()
    yield
    module._RULES.clear()


@pytest.fixture
def stage():
    made = []

    def make(*args, **more):
        made.append(Stage(*args, **more))
        return made[-1]

    yield make
    for one in made:
        close(one.card.box)


# -- which renderer ----------------------------------------------------------------------------------------------------------------------


def test_the_first_that_wants_a_question_draws_it():
    @renderer(lambda request: False)
    def never(request): ...

    @renderer(is_rating)
    def first(request): ...

    @renderer(is_rating)
    def second(request): ...

    assert rule_for(a_request())[0].draw is first
    assert rule_for(a_request({"kind": "other"}))[0] is None


def test_the_cell_run_again_replaces_its_renderer_in_its_place():
    def cell(words):
        @renderer(is_rating)
        def rating(request):
            return words

        return rating

    cell("old")

    @renderer(is_rating)
    def other(request): ...

    newest = cell("new")
    assert renderers() == [newest, other]
    assert rule_for(a_request())[0].draw is newest


def test_a_renderer_is_forgotten_by_its_function_also_by_one_of_a_later_run():
    @renderer(is_rating)
    def rating(request): ...

    forget_renderer(rating)
    assert renderers() == []
    with pytest.raises(RendererError, match=r"rating.* is no renderer of this process; known: there is none"):
        forget_renderer(rating)


@pytest.mark.parametrize("wrong", ["rating", None, {"kind": "rating"}])
def test_what_cannot_be_called_is_refused(wrong):
    with pytest.raises(RendererError, match="renderer"):
        renderer(wrong)
    with pytest.raises(RendererError, match="above a function"):
        renderer(is_rating)(wrong)


def test_a_lambda_draws_nothing_because_a_second_run_could_not_replace_it():
    with pytest.raises(RendererError, match="no name by which it is replaced"):
        renderer(is_rating)(lambda request: "x")


@pytest.mark.parametrize("payload", ["A text?", 5, None, ["a"], {"other": 1}])
def test_a_predicate_that_stumbles_over_a_payload_of_another_kind_does_not_want_it(payload):
    @renderer(lambda request: request.payload["kind"] == "rating")
    def by_key(request): ...

    @renderer(lambda request: request.payload.get("kind").startswith("r"))
    def by_method(request): ...

    question = Question("q", "t", "n", "t", 0, "", payload, AT)
    assert rule_for(Request(question, form_for(question))) == (None, [])


def test_a_predicate_with_a_mistake_says_so_on_the_card_and_the_next_renderer_is_asked(stage):
    @renderer(lambda request: request.paylod["kind"] == "rating")
    def misspelled(request): ...

    @renderer(lambda request: 1 / 0)
    def divided(request): ...

    @renderer(is_rating)
    def rating(request):
        return Drawing("drawn", answer=lambda: 1)

    card = stage()
    assert "misspelled</b> could not say whether it draws this question" in card.text
    assert "AttributeError: &#x27;Request&#x27; object has no attribute &#x27;paylod&#x27;" in card.text
    assert "ZeroDivisionError: division by zero" in card.text
    assert "drawn" in card.text


def test_many_threads_may_register_and_ask_at_once():
    def work(n):
        def draw(request): ...

        draw.__qualname__ = f"draw_{n}"
        for _ in range(50):
            renderer(is_rating)(draw)
            rule_for(a_request())
            renderers()

    threads = [Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(renderers()) == 8


# -- what it shows -----------------------------------------------------------------------------------------------------------------------


def test_a_drawing_with_an_answer_replaces_what_is_shown_and_the_buttons(stage):
    @renderer(is_rating)
    def rating(request):
        stars = ipywidgets.IntSlider(3, 1, 5)
        return Drawing(stars, answer=lambda: {"stars": stars.value}, send="Send rating")

    card = stage(schema={"type": "object", "properties": {"stars": {"type": "integer"}}})
    assert card.buttons() == ["Send rating"]
    assert "onerror" not in card.text, "the facts of the payload are the renderer's to draw"
    next(w for w in card.shown() if isinstance(w, ipywidgets.IntSlider)).value = 5
    card.press("Send rating")
    assert card.sent == [{"stars": 5}]


def test_a_drawing_without_an_answer_keeps_the_buttons_and_the_edit(stage):
    @renderer(lambda request: "draft" in request.payload)
    def draft(request):
        return h("p", {}, "Look: ", h("b", {}, request.payload["draft"]))

    card = stage({"action": "review", "draft": "<i>One</i>", "options": ["approve", "edit", "reject"], "n": 7})
    assert "Look: <b>&lt;i&gt;One&lt;/i&gt;</b>" in card.text
    assert "hitl-nb-facts" not in card.text
    assert card.buttons() == ["Approve", "Edit", "Reject"]
    card.press("Edit")
    next(w for w in card.shown() if isinstance(w, ipywidgets.Textarea) and w.description == "Your edit").value = "Two"
    card.press("Send edit")
    assert card.sent == [{"action": "edit", "edited_text": "Two"}]


HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


@pytest.mark.parametrize(
    ("view", "drawn"),
    [
        (HOSTILE, "&lt;img src=x onerror=alert(1)&gt;"),
        (h("p", {"onclick": "x", "class": "a", "title": '"><b>'}, HOSTILE), '<p class="a" title="&quot;&gt;&lt;b&gt;">&lt;img'),
        (h("div", {}, h("script", {}, "x()"), h("img", {"src": "https://e.org/x.png", "alt": "far"})), '<div><img alt="far"></div>'),
        ([HOSTILE, h("b", {}, "two")], "<b>two</b>"),
        ([["b", {}, "in a list"], "x"], "<b>in a list</b>"),
    ],
)
def test_what_a_renderer_shows_as_text_or_node_cannot_become_markup(stage, view, drawn):
    @renderer(is_rating)
    def rating(request):
        return view

    text = stage().text
    assert drawn in text
    assert "<img src" not in text
    assert "<script" not in text


def test_markdown_is_shown_as_markdown_and_its_html_as_text(stage):
    @renderer(is_rating)
    def rating(request):
        return [markdown(f"**bold** {HOSTILE}"), f"{markdown('**x**')}"]

    text = stage().text
    assert "<strong>bold</strong>" in text
    assert "<img src" not in text
    assert "&lt;strong&gt;x" in text, "a text that was put together by hand is a text"


def test_a_picture_is_shown(stage):
    import matplotlib.figure

    figure = matplotlib.figure.Figure(figsize=(1, 1))

    @renderer(is_rating)
    def rating(request):
        return figure

    assert '<img src="data:image/png;base64,' in stage().text


@pytest.mark.parametrize("wrong", [None, 5, [], object(), {"view": "x"}])
def test_what_cannot_be_shown_is_named_and_the_question_stays_answerable(stage, wrong):
    @renderer(is_rating)
    def rating(request):
        return wrong

    card = stage()
    assert "RendererError: it is to show" in card.text
    assert "Send answer" in card.buttons()


# -- the answer --------------------------------------------------------------------------------------------------------------------------


def test_the_answer_is_read_after_what_the_page_held_back_has_come(stage):
    text = ipywidgets.Text()

    @renderer(is_rating)
    def rating(request):
        return Drawing(text, answer=lambda: text.value)

    card = stage()
    card.in_between = lambda: text.set_trait("value", "the last keys")
    card.press("Send answer")
    assert card.sent == ["the last keys"]
    card.press("Send answer")
    assert card.sent == ["the last keys"], "a second press sends nothing"


def test_an_answer_that_the_schema_refuses_is_told_on_the_card_and_to_the_renderer(stage):
    refused = []

    @renderer(is_rating)
    def rating(request):
        stars = ipywidgets.IntSlider(9, 1, 9)
        return Drawing(stars, answer=lambda: {"stars": stars.value}, refuse=refused.append)

    schema = {"type": "object", "properties": {"stars": {"type": "integer", "maximum": 5}}}
    card = stage(schema=answer_schema(schema))
    card.press("Send answer")
    assert card.sent == []
    assert [(e.path, str(e)) for e in refused] == [(["stars"], "Must be at most 5.")]
    assert "Not sent. Stars: Must be at most 5." in card.text
    next(w for w in card.shown() if isinstance(w, ipywidgets.IntSlider)).value = 4
    card.press("Send answer")
    assert card.sent == [{"stars": 4}]


def test_a_renderer_says_itself_what_is_missing(stage):
    @renderer(is_rating)
    def rating(request):
        def answer():
            raise InvalidAnswerError("Choose a number of stars first.")

        return Drawing("stars", answer=answer)

    card = stage()
    card.press("Send answer")
    assert "Not sent. Choose a number of stars first." in card.text
    assert card.buttons() == ["Send answer"]


def test_a_refuse_that_raises_is_told_too(stage):
    @renderer(is_rating)
    def rating(request):
        return Drawing("x", answer=lambda: 1, refuse=lambda error: 1 / 0)

    card = stage(schema={"type": "string"})
    card.press("Send answer")
    assert "could not show why the answer was refused" in card.text
    assert "Not sent." in card.text


class Shell:
    """IPython, as far as a widget's callback meets it."""

    def __init__(self):
        self.shown = 0
        self.events = self

    def trigger(self, name):
        """An event nobody waits for."""

    def showtraceback(self):
        self.shown += 1


# -- what it raises ----------------------------------------------------------------------------------------------------------------------


def test_a_drawing_that_raises_leaves_the_card_as_always_with_the_error_and_its_line(stage):
    @renderer(lambda request: "options" in request.payload)
    def broken(request):
        return h("p", {}, request.payload["no such key"])

    card = stage({"question": "Which <b>?", "options": ["a", "b"], "hint": "x"})
    assert "The renderer <b>broken</b> could not draw this question." in card.text
    assert "KeyError: &#x27;no such key&#x27;" in card.text
    assert "test_widgets_renderers.py, line " in card.text
    assert "return h(&quot;p&quot;, {}, request.payload[" in card.text
    assert "<dt>Hint</dt><dd>x</dd>" in card.text
    card.press("B")
    assert card.sent == ["b"]


def test_an_answer_that_cannot_be_read_sends_nothing_and_the_card_as_always_can_be_used(stage):
    field = ipywidgets.Text("five")

    @renderer(is_rating)
    def rating(request):
        return Drawing(field, answer=lambda: int(field.value), send="Send rating")

    card = stage()
    card.press("Send rating")
    assert card.sent == []
    assert "could not read the answer, so nothing was sent" in card.text
    assert "ValueError: invalid literal for int() with base 10: &#x27;five&#x27;" in card.text
    assert card.buttons() == ["Back to the drawing", "Send answer"]
    assert field not in card.shown()
    card.press("Back to the drawing")
    assert field in card.shown()
    assert field.value == "five"
    assert card.buttons() == ["Send rating"]
    field.value = "5"
    card.press("Send rating")
    assert card.sent == [5]


def test_after_an_answer_that_cannot_be_read_the_question_is_answered_by_hand(stage):
    @renderer(lambda request: True)
    def broken(request):
        return Drawing("x", answer=lambda: 1 / 0)

    card = stage({"question": "Publish?", "options": ["approve", "reject"]})
    card.press("Send answer")
    card.press("Approve")
    assert card.sent == ["approve"]


def test_an_error_without_text_and_an_exit_are_not_mistaken(stage):
    class MuteError(Exception):
        def __str__(self):
            raise ValueError

    @renderer(is_rating)
    def rating(request):
        raise MuteError

    assert "MuteError: &lt;it cannot be told: ValueError&gt;" in stage().text

    forget_renderer(rating)

    @renderer(is_rating)
    def interrupted(request):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stage()


def test_a_long_story_of_an_error_is_cut(stage):
    @renderer(is_rating)
    def rating(request):
        raise ValueError("long " * 10_000)

    assert len(stage().text) < 10_000


def test_what_the_callback_of_a_widget_raises_is_shown_on_the_card(stage, monkeypatch):
    shell = Shell()
    monkeypatch.setattr("ipywidgets.widgets.widget.get_ipython", lambda: shell)
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    slider = []

    @renderer(is_rating)
    def rating(request):
        slider.append(ipywidgets.IntSlider(1))
        slider[0].observe(lambda change: 1 / change["new"], "value")
        return Drawing(slider[0], answer=lambda: slider[0].value)

    card = stage()
    slider[0].comm.handle_msg({"content": {"data": {"method": "update", "state": {"value": 0}}}, "buffers": []})
    assert "raised when its widget was used" in card.text
    assert "ZeroDivisionError" in card.text
    assert shell.shown == 0
    assert "showtraceback" not in shell.__dict__


def test_the_card_hears_that_a_drawing_was_used_until_it_is_gone(stage, monkeypatch):
    shell = Shell()
    monkeypatch.setattr("ipywidgets.widgets.widget.get_ipython", lambda: shell)
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    slider = ipywidgets.IntSlider(1)
    slider.observe(lambda change: 1 / change["new"], "value")

    @renderer(is_rating)
    def rating(request):
        return Drawing(slider, answer=lambda: slider.value)

    def use(value):
        slider.comm.handle_msg({"content": {"data": {"method": "update", "state": {"value": value}}}, "buffers": []})

    card, heard = stage(), []
    card.card._panel.changed = lambda: heard.append(slider.value)
    use(7)
    use(0)
    assert heard == [7, 0]
    assert "ZeroDivisionError" in card.text
    assert shell.shown == 0
    close(card.card.box)
    use(5)
    use(0)
    assert heard == [7, 0]
    assert shell.shown == 1, "a widget that was there before tells its errors where it always did"
    slider.close()


def test_an_error_of_another_thread_is_shown_where_it_always_was(monkeypatch):
    shell, told = Shell(), []
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)

    def elsewhere():
        try:
            raise KeyError
        except KeyError:
            shell.showtraceback()

    with errors_told(told.append):
        other = Thread(target=elsewhere)
        other.start()
        other.join()
    assert (shell.shown, told) == (1, [])


# -- what stays --------------------------------------------------------------------------------------------------------------------------


def test_all_widgets_made_for_a_drawing_are_freed_with_the_card_and_shared_ones_stay():
    shared = ipywidgets.Layout(width="50px")

    @renderer(is_rating)
    def rating(request):
        field = ipywidgets.Text(layout=shared)
        return Drawing(ipywidgets.Tab([ipywidgets.VBox([field]), ipywidgets.Output()]), answer=lambda: int(field.value or "x"))

    one = Stage()
    one.press("Send answer")
    one.press("Back to the drawing")
    one.press("Send answer")
    close(one.card.box)
    left = set(open_widgets()) - one.before
    assert left == set()
    assert shared.comm is not None
    shared.close()


def test_what_was_filled_in_is_told_when_somebody_else_answers_first(stage):
    slider = ipywidgets.IntSlider(3)

    @renderer(is_rating)
    def rating(request):
        return Drawing(slider, answer=lambda: {"stars": slider.value})

    card = stage()
    assert card.card.unsent == {}
    slider.value = 5
    assert card.card.unsent == {"answer": "Stars: 5"}


def test_a_drawing_that_another_card_shows_later_belongs_to_that_card(stage):
    """A stack makes a card anew each time its question is shown; what was done to the drawing stays with the panel."""
    field = ipywidgets.Text("five")

    @renderer(is_rating)
    def rating(request):
        return Drawing(field, answer=lambda: int(field.value))

    first = stage()
    first.press("Send answer")
    second = stage()
    second.card._use(first.card._panel)
    second.press("Back to the drawing")
    assert field in second.shown()
    field.value = "5"
    second.press("Send answer")
    assert (first.sent, second.sent) == ([], [5])


def test_no_renderer_is_called_without_a_card():
    @renderer(lambda request: True)
    def broken(request):
        raise AssertionError("drawn")

    graph = StateGraph()
    graph.add_node("ask", lambda state: {"said": interrupt({"kind": "rating", "question": "Stars?", "type": "text"})})
    graph.add_edge(START, "ask")
    session = review(graph.compile(checkpointer=MemorySaver()), {"n": 1}, thread_id="t", answers=["five"])
    assert session.result()["said"] == "five"


def test_trees_become_html_as_the_page_would_draw_them():
    nodes = [
        h("p", {"hidden": True, "tabindex": 0, "style": "x", "data-act": "a"}, "a & b"),
        "<",
        h("hr"),
        ["icon", {"name": "ok"}],
        h("form", {}, "no"),
    ]
    assert html_of(nodes).replace("\n", "").startswith('<p tabindex="0">a &amp; b</p>&lt;<hr><svg')
    assert "form" not in html_of(nodes)


# -- the page for users ------------------------------------------------------------------------------------------------------------------

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "renderers.md").read_text(encoding="utf-8")


def test_the_examples_of_the_page_draw_what_they_say(stage):
    names = {"__name__": "example"}
    for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(code, "renderers.md", "exec"), names)
    recipe = stage({"kind": "recipe", "steps": ["boil", "<b>eat</b>"], "options": ["cook", "skip"], "question": "Which?"})
    assert "<ol><li>boil</li><li>&lt;b&gt;eat&lt;/b&gt;</li></ol>" in recipe.text
    assert recipe.buttons() == ["Cook", "Skip"]
    rating = stage(RATING)
    rating.press("Send rating")
    assert "Not sent. Choose one star or more." in rating.text
    next(w for w in rating.shown() if isinstance(w, ipywidgets.IntSlider)).value = 4
    rating.press("Send rating")
    assert rating.sent == [{"stars": 4}]
    letter = stage({"kind": "letter", "from": HOSTILE, "text": f"*Dear* {HOSTILE}", "question": "Answer it?"})
    assert "<em>Dear</em>" in letter.text
    assert "<img src" not in letter.text
    assert [draw.__name__ for draw in renderers()] == ["recipe", "rating", "letter"]
