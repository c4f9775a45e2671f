"""No text of a payload, an answer or an error does anything but show, in a live card, in a saved notebook, in an export. The corpus is in xss.py."""

import re

import pytest
import xss

MIMES = ("text/html", "text/markdown", "text/plain")
START = """
from dataclasses import replace
from hitl_nb.errors import InvalidAnswerError
from stage import *
from xss import EVERYTHING, PAYLOADS, tagged
hostile = dict(thread_id=tagged("thread"), node=tagged("node"), graph=tagged("graph"), assignee=tagged("assignee"))
shared = {"question": tagged("question"), "instruction": tagged("instruction"), tagged("key"): tagged("value"), "deep": {tagged("deep-key"): [tagged("deep-value")]}}
class Hostile(Desk):
    def decide(self, request, answer, how="card"):
        decided = self.view.decided
        self.view.decided = lambda request, decision: decided(request, replace(decision, reviewer=tagged("reviewer"), how=how))
        try:
            return super().decide(request, answer, how)
        finally:
            self.view.decided = decided
"""
OPEN = {
    "review": """payload = shared | {"action": "review", "draft": tagged("draft"), "options": ["approve", "edit", tagged("option")]}""",
    "choice": """payload = shared | {"options": [tagged("choice"), *PAYLOADS[:11]]}""",
    "buttons": """payload = shared | {"options": PAYLOADS[50:62]}""",
    "text": """payload = {"question": tagged("text-question"), "type": "text"}""",
    "plain": """payload = tagged("plain")""",
    "sentence": """payload = tagged("sentence") + "?" """,
    "json": """payload = {"limits": tagged("json"), tagged("json-key"): [1, tagged("json-item")]}""",
    "editor": """payload = {"action": "edit_content", "original": tagged("original")}""",
    "retry": """payload = {"error": tagged("error"), "question": "Fix?", "current_input": tagged("input")}""",
    "titled": """payload = {"type": tagged("type"), "stage": "x", "content": {tagged("content-key"): tagged("content")}}""",
}
"""Cards that stay open, by the name of their cell."""


class Watched:
    """A page that notes down whatever executes and whatever is asked of another host."""

    def __init__(self, page, netloc):
        self.page, self.fired, self.outside = page, set(), set()
        page.set_default_timeout(20_000)
        page.expose_binding("xss", lambda _, n: self.fired.add(n))
        page.context.on("request", lambda r: self.outside.add(r.url) if re.match(f"https?://(?!{re.escape(netloc)}/)", r.url) else None)
        page.context.route(re.compile(f"//{xss.OUTSIDE}[/:]"), lambda route: route.fulfill(status=204))

    POKE = """() => {
        const all = [...document.querySelectorAll('.jp-OutputArea-output, .jp-OutputArea-output *')];
        for (const node of all) for (const kind of ['pointerover', 'pointerenter', 'mouseover', 'mouseenter'])
            node.dispatchEvent(new MouseEvent(kind, { bubbles: !kind.endsWith('enter') }));
        for (const node of all) if (!node.matches('.hitl-nb-card, .hitl-nb-card *')) node.focus?.();
        const away = node => /^(https?|mailto):/.test(node.getAttribute('href') ?? '');
        for (const node of all) if (node.matches('a, area, math, summary, .widget-html-content button') && !away(node))
            node.dispatchEvent(new MouseEvent('click', { bubbles: true, cancelable: true }));
        for (const node of all) if (node.matches('form')) try { node.requestSubmit(); } catch (e) {}
    }"""

    def poke(self):
        """Do to everything in the outputs what a person may do: point at it, focus it, follow it. Then let the page work it off."""
        self.page.evaluate(self.POKE)
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 150)))")

    FOREIGN = """() => {
        const found = [];
        for (const node of document.querySelectorAll('.jp-OutputArea-output, .jp-OutputArea-output *')) {
            if (node.matches('script, iframe, frame, object, embed, base, meta, link, form, video, audio, source, track, portal, template, math, marquee, map, dialog'))
                found.push(node.outerHTML.slice(0, 200));
            if (node.localName === 'style' && /xss|url\\(/.test(node.textContent)) found.push(node.outerHTML.slice(0, 200));
            for (const { name, value } of node.attributes)
                if (/^on/.test(name) || name === 'srcset' || name === 'style' && /url|image/.test(value) || /^(src|href|xlink:href|action|formaction|background|poster)$/.test(name)
                    && !/^(https?:\\/\\/e\\.example|data:image\\/|#|mailto:)/.test(value)) found.push(`${node.localName} ${name}=${value}`.slice(0, 200));
        }
        return found;
    }"""
    TEXT = """() => [...document.querySelectorAll('.jp-OutputArea-output *')].flatMap(node => [
        ...[...node.childNodes].filter(child => child.nodeType === 3).map(child => child.nodeValue), node.value,
        ...['title', 'alt', 'aria-label', 'placeholder'].map(name => node.getAttribute(name))]).filter(Boolean).join('\\n')"""

    def shown(self):
        """The words by which the places are known, that are in the page as text, value or name of something."""
        return set(re.findall(r"\bat-[a-z0-9-]+", self.page.evaluate(self.TEXT), re.IGNORECASE))

    def assert_calm(self):
        self.poke()
        assert (sorted(self.fired), sorted(self.outside)) == ([], [])
        assert self.page.evaluate(self.FOREIGN) == []


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


def tags(code):
    return {f"at-{name}" for name in re.findall(r'tagged\("([a-z0-9-]+)"\)', code)}


def test_the_corpus_is_large():
    assert len(xss.PAYLOADS) == len(set(xss.PAYLOADS)) >= 100


def test_open_cards_show_it_as_text(watched):
    cards = "".join(f"\n{code}\nHostile().ask({name!r}, payload=payload, **hostile)" for name, code in OPEN.items())
    notebook = watched.open([START + cards])
    notebook.run(0)
    watched.page.wait_for_function(f"document.querySelectorAll('.hitl-nb-card[role=group]').length === {len(OPEN)}")
    expected = tags(START + cards) - {"at-reviewer"}
    assert {t.lower() for t in watched.shown()} >= expected, expected - watched.shown()
    watched.assert_calm()
