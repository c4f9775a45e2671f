"""No text of a payload, an answer or an error does anything but show, in a live card, in a saved notebook, in an export. The corpus is in xss.py."""

import inspect
import json
import re
import time

import hostile
import nbformat
import pytest
import xss

VIEW = "application/vnd.jupyter.widget-view+json"
MIMES = ("text/html", "text/markdown", "text/plain")


class Watched:
    """A page that notes down whatever executes and whatever is asked of another host."""

    def __init__(self, page, netloc=""):
        self.page, self.fired, self.outside = page, set(), set()
        page.set_default_timeout(60_000)
        page.expose_binding("xss", lambda _, n: self.fired.add(n))
        page.context.on("request", lambda r: self.outside.add(r.url) if re.match(f"https?://(?!{re.escape(netloc)}/)", r.url) else None)
        page.context.route(re.compile(f"//{xss.OUTSIDE}[/:]"), lambda route: route.fulfill(status=204))

    POKE = """async () => {
        const all = [...document.querySelectorAll('.jp-OutputArea-output, .jp-OutputArea-output *')];
        for (const node of all) for (const kind of ['pointerover', 'pointerenter', 'mouseover', 'mouseenter'])
            node.dispatchEvent(new MouseEvent(kind, { bubbles: !kind.endsWith('enter') }));
        for (const node of all) if (!node.matches('.hitl-nb-card, .hitl-nb-card *')) node.focus?.();
        const away = node => /^(https?|mailto):/.test(node.getAttribute('href') ?? '');
        const pressed = 'a, area, math[href], summary, form[action]'
            + ', .widget-html-content button, .jp-RenderedHTML button, .jp-RenderedMarkdown button';
        const same = new Set();
        for (const node of all) if (node.matches(pressed) && !away(node) && !same.has(node.outerHTML)) {
            same.add(node.outerHTML);
            if (node.matches('form')) try { node.requestSubmit(); } catch (e) {}
            else node.dispatchEvent(new MouseEvent('click', { bubbles: true, cancelable: true }));
            await new Promise(done => setTimeout(done, 2));  // the next navigation would take its place
        }
        await new Promise(done => requestAnimationFrame(() => setTimeout(done, 150)));
    }"""

    def poke(self):
        """Do to everything in the outputs what a person may do: point at it, focus it, follow it. Then let the page work it off."""
        self.page.evaluate(self.POKE)

    FOREIGN = """() => {
        const tags = 'script, iframe, frame, object, embed, base, meta, link, form, video, audio, source, track, template, math, marquee, map';
        const addresses = /^(src|srcset|href|xlink:href|action|formaction|background|poster|ping)$/;
        const known = /^(https?:\\/\\/e\\.example|data:image\\/|#|mailto:)/;
        const found = [];
        for (const node of document.querySelectorAll('.jp-OutputArea-output, .jp-OutputArea-output *')) {
            if (node.matches(tags) || (node.matches('style') && /xss|url\\(/.test(node.textContent))) found.push(node.outerHTML.slice(0, 200));
            for (const { name, value } of node.attributes)
                if (/^on/.test(name) || (name === 'style' && /url|image/.test(value)) || (addresses.test(name) && !known.test(value)))
                    found.push(`${node.localName} ${name}=${value}`.slice(0, 200));
        }
        return found;
    }"""
    """Elements and attributes that no card and no receipt has."""
    TEXT = """() => [...document.querySelectorAll('.jp-OutputArea-output *')].flatMap(node => [
        ...[...node.childNodes].filter(child => child.nodeType === 3).map(child => child.nodeValue), node.value,
        ...['title', 'alt', 'aria-label', 'placeholder'].map(name => node.getAttribute(name))]).filter(Boolean).join('\\n')"""

    def shown(self):
        """The words by which the places are known, that are in the page as text, value or name of something."""
        return set(re.findall(r"at[a-z]+zz", self.page.evaluate(self.TEXT).lower()))

    def until_shown(self, words):
        end = time.monotonic() + 60
        while words - self.shown():
            assert time.monotonic() < end, f"not shown: {words - self.shown()}"
            self.page.wait_for_timeout(50)

    USE = """async text => {
        const later = ms => new Promise(done => setTimeout(done, ms)), all = selector => [...document.querySelectorAll(selector)];
        const fill = () => all('.hitl-nb-card textarea, .hitl-nb-card input[type=text], .hitl-nb-card input[type=search]').forEach(node => {
            Object.getOwnPropertyDescriptor(Object.getPrototypeOf(node), 'value').set.call(node, text);
            for (const kind of ['input', 'change']) node.dispatchEvent(new Event(kind, { bubbles: true }));
        });
        fill();
        for (const node of all('.hitl-nb-surface button, .hitl-nb-surface [type=radio], .hitl-nb-surface th'))
            if (node.isConnected) { node.click(); await later(5); }
        fill();
        await later(300);
        for (const node of all('.hitl-nb-card .hitl-nb-row button')) { node.click(); await later(5); }
    }"""

    def use(self, notebook):
        """Fill every field of the cards, use everything in their panels, press all their buttons; until the kernel has taken it in."""
        self.page.evaluate(self.USE, xss.EVERYTHING)
        notebook.js("return W.sessionContext.session.kernel.requestKernelInfo().then(() => {});")
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 300)))")

    @property
    def asked(self):
        """The numbers of the texts that made a request."""
        return {int(n) for n in re.findall(rf"//{xss.OUTSIDE}/(\d+)", " ".join(self.outside))}

    def assert_calm(self, *, markup=True):
        """`markup`: no element is there that came out of a text, be it harmless like a link that the application itself makes of an address."""
        self.poke()
        assert (sorted(self.fired), sorted(self.outside)) == ([], [])
        assert not markup or self.page.evaluate(self.FOREIGN) == []


@pytest.fixture(scope="module")
def opened(server, browser, load_lab):
    """A JupyterLab page of its own, for one test of this module breaks it. No content security policy helps there."""
    watched = Watched(browser.new_context(bypass_csp=True).new_page(), server.url.partition("//")[2])
    watched.open = load_lab(watched.page)
    yield watched
    watched.page.context.close()


@pytest.fixture
def watched(server, opened):
    opened.fired.clear()
    opened.outside.clear()
    yield opened
    server.stop_kernels()


def test_the_corpus_is_large():
    assert len(xss.PAYLOADS) == len(set(xss.PAYLOADS)) >= 100


def places(*functions):
    """The words by which the test knows what these functions of `hostile` put into the page."""
    return {f"at{name}zz" for f in functions for name in re.findall(r'tagged\("([a-z]+)"', f if isinstance(f, str) else inspect.getsource(f))}


SOURCE = inspect.getsource(hostile)
PLACES_OPEN = places(SOURCE.partition("class Hostile")[0], hostile.open_cards, hostile.drawn_cards)
UNSEEN = {"atbranchzz", "atinnerzz", "atschematitlezz"}
"""Texts of a form that are not shown at first."""
PLACES_KEPT = places(hostile.decided_cards, hostile.finished_cards, SOURCE.partition("EDITED = ")[2].partition("\n")[0])
RECEIPTS = 14 + 2 * len(xss.chunks(1000))
SHOW = """import json
from IPython.display import display
for data in json.load(open("data.json")):
    display(data, raw=True)"""


def test_open_cards_show_it_as_text(watched):
    notebook = watched.open(["from hostile import *\nopen_cards()\ndrawn_cards()"])
    notebook.run(0)
    watched.page.wait_for_function("document.querySelectorAll('.hitl-nb-card[role=group]').length === 27")
    assert PLACES_OPEN - watched.shown() <= UNSEEN
    watched.assert_calm()
    watched.use(notebook)
    assert notebook.receipts().count() >= 10
    watched.assert_calm()


@pytest.fixture(scope="module")
def saved(opened, server):
    """The outputs of a notebook with receipts and an open card, as they are saved. Shown live, and reloaded, on the way."""
    notebook = opened.open(["from hostile import *\ndecided_cards()", "finished_cards()"])
    notebook.run(0)
    notebook.button("Approve").wait_for()
    notebook.run(1)
    opened.page.wait_for_function(f"document.querySelectorAll('.hitl-nb-receipt').length === {RECEIPTS + 1}")
    assert PLACES_KEPT - opened.shown() == set()
    opened.assert_calm()
    kept = notebook.saved()
    notebook.reload()
    opened.page.wait_for_function(f"document.querySelectorAll('.hitl-nb-receipt').length >= {RECEIPTS}")
    opened.assert_calm()
    server.stop_kernels()
    return [output.data for cell in kept.cells for output in cell.outputs]


def test_each_type_of_a_saved_output_shows_it_as_text_where_it_is_trusted(saved, watched):
    notebook = watched.open([SHOW])
    for mime in MIMES:
        (notebook.folder / "data.json").write_text(json.dumps([{mime: data[mime]} for data in saved]))
        notebook.run(0)
        assert (mime, PLACES_KEPT - watched.shown()) == (mime, set())
        watched.assert_calm(markup=mime == "text/html")


def stripped(saved):
    """One cell with each type of each output alone."""
    bundles = [data for data in saved if VIEW not in data] + [{mime: data[mime]} for data in saved for mime in MIMES]
    return nbformat.v4.new_code_cell("", outputs=[nbformat.v4.new_output("display_data", data) for data in bundles])


def test_a_notebook_that_nobody_has_signed_shows_it_as_text(saved, watched):
    notebook = watched.open([stripped(saved)])
    assert notebook.js("return W.content.widgets[0].model.trusted") is False
    assert PLACES_KEPT - watched.shown() == set()
    watched.assert_calm(markup=False)


def test_an_export_shows_it_as_text_without_a_network(saved, browser, tmp_path):
    from nbconvert import HTMLExporter

    from hitl_nb.batch.report import write_report

    notebook = nbformat.v4.new_notebook(cells=[stripped(saved)])
    (tmp_path / "nbconvert.html").write_text(HTMLExporter().from_notebook_node(notebook)[0], encoding="utf-8")
    write_report(notebook, tmp_path / "report.html")
    exported = Watched(browser.new_context(bypass_csp=True, offline=True).new_page())
    for page in ("nbconvert.html", "report.html"):
        exported.page.goto((tmp_path / page).as_uri(), wait_until="domcontentloaded")
        assert PLACES_KEPT - exported.shown() == set()
        exported.poke()
        assert (exported.fired, exported.asked) == (set(), set())
        # nbconvert's own page asks for scripts of its own; the report asks for nothing.
        assert page == "nbconvert.html" or exported.outside == set()
        exported.outside.clear()
    exported.page.context.close()


def test_a_stack_and_cards_in_other_states_show_it_as_text(watched):
    notebook = watched.open(["from hostile import *\nstacked_cards()", "state_cards()", "outdated_cards()"])
    page = notebook.page
    notebook.run(0)
    seen = set()
    for n, place in enumerate(("stackoption", "thread", "stackenum")):
        page.locator(".hitl-nb-seg").nth(n).click()
        watched.until_shown({f"at{place}zz"})
        seen |= watched.shown()
        watched.assert_calm()
    assert places(hostile.stacked_cards) <= seen
    watched.use(notebook)
    watched.assert_calm()

    notebook.run(1)
    for n in range(3):
        # The output, not the card by its number: while a card that was answered elsewhere is drawn anew there is one card less.
        card = notebook.output(1).locator(".hitl-nb-session").nth(n)
        card.locator(".hitl-nb-comment textarea").fill(xss.tagged("unsent"))
        card.get_by_role("button", name="Approve", exact=True).click()
    watched.until_shown(places(hostile.taken, hostile.refused, hostile.broken) | {"atunsentzz"})
    watched.assert_calm()

    notebook.run(2)
    state = notebook.output(2)
    state.get_by_role("button", name="Show what changed").click()
    state.locator("summary", has_text="Show what changed").click()
    page.wait_for_function("document.querySelectorAll('.hitl-nb-diff').length >= 2")
    assert {"atbeforezz", "atafterzz"} <= watched.shown()
    watched.assert_calm()
    state.get_by_role("button", name="Show the current question").click()
    state.locator(".hitl-nb-card").nth(1).wait_for()
    watched.assert_calm()


RUN = """from hostile import *
from hitl_nb import review
graph = graph_of_hostile_names()
session = review(graph, {"said": tagged("state")}, thread_id=tagged("thread", chunks(480)[1]), reviewer=tagged("reviewer"))"""


def test_a_graph_of_hostile_names_runs_draws_fails_and_pauses_as_text(watched):
    notebook = watched.open([RUN, "display(graph.draw())\nprint(session)\nsession.state", "session.result()"])
    notebook.run(0)
    notebook.run(1)
    watched.assert_calm(markup=False)
    for label in ("Continue", "Approve", "Continue"):
        notebook.button(label).click()
    for n, place in enumerate(re.findall(r'tagged\("([a-z]+)"', inspect.getsource(hostile.events))):
        watched.until_shown({f"at{place}zz"})
        watched.assert_calm(markup=False)
        (notebook.folder / f"seen-{n}").touch()
    notebook.page.get_by_text("Failed after your answer").wait_for()
    notebook.button("Show traceback").click()
    watched.until_shown({"atexceptionzz", "atthreadzz"})
    watched.assert_calm(markup=False)


CONTROL = """
import ipywidgets
from IPython.display import HTML, display
from xss import PAYLOADS
calm, last = PAYLOADS[:-4], PAYLOADS[-4:]
display(ipywidgets.VBox([ipywidgets.HTML(text) for text in calm]))
"""
CONTROL_OUTPUTS = "for text in calm:\n    display(HTML(text))"
CONTROL_LAST = "ipywidgets.VBox([ipywidgets.HTML(text) for text in last])"


def test_the_same_texts_taken_for_markup_do_fire(watched):
    """Last in this module, for it breaks the page. Without it the other tests could pass because nothing can fire there."""
    notebook = watched.open([CONTROL, CONTROL_OUTPUTS, CONTROL_LAST])
    notebook.run(0)
    notebook.output(0).locator(".widget-html-content").nth(len(xss.PAYLOADS) - 5).wait_for(state="attached")
    watched.poke()
    assert len(watched.fired) >= 50
    assert len(watched.asked) >= 20
    assert len(watched.fired | watched.asked) >= 75
    assert len(watched.page.evaluate(watched.FOREIGN)) >= 75
    before = watched.fired | watched.asked
    notebook.run(1)
    watched.poke()
    assert {n for n, text in enumerate(xss.PAYLOADS) if text.startswith("<script")} <= (watched.fired | watched.asked) - before
    with watched.page.expect_request(f"http://{xss.OUTSIDE}/{len(xss.PAYLOADS) - 4}"):  # the page is told to leave
        notebook.start(2)
