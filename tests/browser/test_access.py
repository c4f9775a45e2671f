"""What a screen reader hears, what a keyboard reaches, what can be seen: for every kind and state of a card, in the light and the dark theme.

`HITL_NB_HEAR=1` writes what is heard now into `heard.yml`, to be read before it is committed.
"""

import os
import re
from pathlib import Path

import pytest
from test_looks import KINDS, STATES, assert_nothing_sticks_out, reach_the_states

pytestmark = pytest.mark.browser

HEARD = Path(__file__).parent / "heard.yml"
STAGE = "from stage import *\n"
MORE = {
    "stack": "s = Desk()\ns.ask('review')\ns.ask('approve')\ns.ask('choice')",
    "form": """from typing import Literal
from pydantic import BaseModel, Field
from hitl_nb.decisions.check import answer_schema
class Refund(BaseModel):
    customer: str = Field(min_length=3, description="As on the invoice.")
    amount: float = Field(gt=0, le=500, title="Amount in EUR")
    refund_to: Literal["card", "voucher", "bank"]
    notify: bool = True
Desk().ask("refund", {"question": "Which refund?"}, schema=answer_schema(Refund))""",
    "table": """import pandas as pd
Desk().ask("table", {"question": "Are these right?", "table": pd.DataFrame({"vendor": ["Acme", "Contoso"], "amount": [12.5, 89.0]})})""",
    "actions": """Desk().ask("actions", {"action_requests": [{"name": "send_email", "args": {"to": "ana@example.org"}}],
    "review_configs": [{"action_name": "send_email", "allowed_decisions": ["approve", "edit", "reject"]}]})""",
}
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}}
# Lab leaves out the text of cells that are not in view, and its body has no height, which axe takes for a page on which nothing is seen.
SEEN = ".jp-Cell { content-visibility: visible !important; } body { height: 100vh; }"
# Every border and mark that tells where to type, what is chosen and how far it is must stand out 3 to 1 from what is around it.
FAINT = """
const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
const over = (color, below) => {
  canvas.clearRect(0, 0, 1, 1);
  if (below) { canvas.fillStyle = `rgb(${below.join(" ")})`; canvas.fillRect(0, 0, 1, 1); }
  canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
};
const ground = (node) => {
  const layers = [];
  for (let at = node; at; at = at.parentElement) layers.unshift(getComputedStyle(at).backgroundColor);
  return layers.reduce((below, color) => over(color, below), [255, 255, 255]);
};
const light = (rgb) => {
  const [r, g, b] = rgb.map((v) => v / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ratio = (one, other) => { const [a, b] = [light(one), light(other)].sort((x, y) => y - x); return (a + 0.05) / (b + 0.05); };
const found = [], shown = (n) => n.checkVisibility() && !n.disabled && getComputedStyle(n).opacity === "1";
const look = (selector, color, around = (n) => ground(n.parentElement)) => {
  for (const node of document.querySelectorAll(".hitl-nb-session " + selector)) {
    if (!shown(node)) continue;
    const below = around(node), said = ratio(over(color(node), below), below);
    found.push([selector, Math.round(said * 100) / 100]);
  }
};
look(":is(textarea, select, input:not([type=radio], [type=checkbox]))", (n) => getComputedStyle(n).borderTopColor);
look(".hitl-nb-seg", (n) => getComputedStyle(n).color);
look(".hitl-nb-step", (n) => getComputedStyle(n).color);
look(".hitl-nb-head svg", (n) => getComputedStyle(n).color);
look(".hitl-nb-card", (n) => getComputedStyle(n).getPropertyValue("--hn-link"));
look(".hitl-nb-primary", (n) => getComputedStyle(n).backgroundColor);
return found;
"""


@pytest.fixture
def hall(lab):
    """Every state and every kind of card in one notebook."""
    codes = [*STATES, *(f"Desk().ask({kind!r})" for kind in KINDS), *MORE.values()]
    notebook = lab([STAGE + code for code in codes], height=12000)
    reach_the_states(notebook)
    notebook.done(len(codes) - 1, 60)
    notebook.page.wait_for_selector(".hitl-nb-seg")
    stack = notebook.output(len(STATES) + len(KINDS))
    stack.get_by_role("button", name="Reject").click()
    stack.get_by_text("1 answered, not sent").wait_for()
    notebook.output(len(STATES) + len(KINDS) + 1).get_by_role("button", name="Send", exact=False).first.click()
    notebook.page.wait_for_selector("[data-f][aria-invalid=true]")
    notebook.output(len(STATES)).get_by_role("button", name="Keys", exact=True).click()
    style = notebook.page.add_style_tag(content=SEEN)
    yield notebook
    style.evaluate("(node) => node.remove()")


def test_every_card_in_every_state_can_be_seen_and_used_in_the_light_and_the_dark_theme_and_at_400_px(hall):
    for theme in ("light", "dark"):
        no_rule_is_broken(hall, theme)
    what_is_wrong_is_tied_to_its_field(hall)
    nothing_moves_that_need_not(hall)
    four_hundred_pixels_are_enough(hall)


def no_rule_is_broken(hall, theme):
    from axe_playwright_python.sync_playwright import Axe

    page = hall.page
    if theme == "dark":
        page.evaluate("() => window.jupyterapp.commands.execute('apputils:change-theme', { theme: 'JupyterLab Dark' })")
    # The page is hidden while a theme is loaded.
    drawn = "document.querySelector('.hitl-nb-card').checkVisibility({ opacityProperty: true, visibilityProperty: true })"
    paper = "getComputedStyle(document.body).getPropertyValue('--jp-layout-color1').trim()"
    page.wait_for_function(f"dark => {drawn} && !document.getElementById('jupyterlab-splash') && ({paper} !== 'white') === dark", arg=theme == "dark")
    found = Axe().run(page, context=".hitl-nb-session", options=RULES).response
    broken = [(v["id"], n["html"], n["failureSummary"]) for v in found["violations"] for n in v["nodes"]]
    assert broken == [], theme
    seen = next(rule for rule in found["passes"] if rule["id"] == "color-contrast")
    assert len(seen["nodes"]) > 200, "the text of every card is looked at"
    assert [rule["id"] for rule in found["incomplete"] if rule["id"] == "color-contrast"] == []
    marks = hall.js(FAINT)
    assert {selector for selector, _ in marks} >= {".hitl-nb-seg", ".hitl-nb-step", ".hitl-nb-head svg", ".hitl-nb-primary"}
    assert [mark for mark in marks if mark[1] < 3] == [], theme


def what_is_wrong_is_tied_to_its_field(hall):
    untold = """const text = (id) => document.getElementById(id)?.innerText ?? '';
        const words = (n) => (n?.getAttribute('aria-describedby') ?? '').split(' ').map(text).join(' ');
        return [...document.querySelectorAll('.hitl-nb-session [aria-invalid=true]')].filter(n => n.offsetParent)
            .map(n => words(n.closest('[aria-describedby]')).trim())"""
    told = hall.js(untold)
    assert len(told) >= 2
    assert all(told)


def nothing_moves_that_need_not(hall):
    page = hall.page
    page.emulate_media(reduced_motion="reduce")
    moving = """return [...document.querySelectorAll('.hitl-nb-session, .hitl-nb-session *')].filter(n => {
        const look = getComputedStyle(n); return look.animationName !== 'none' && look.animationIterationCount === 'infinite';
    }).map(n => n.className)"""
    assert hall.js(moving) == []
    page.emulate_media(reduced_motion="no-preference")


def four_hundred_pixels_are_enough(hall):
    page = hall.page
    page.set_viewport_size({"width": 400, "height": 5000})
    page.wait_for_function("document.documentElement.scrollWidth <= 400")
    assert_nothing_sticks_out(hall)
    scrolls = """return [...document.querySelectorAll('.jp-OutputArea-output')]
        .filter(n => n.querySelector('.hitl-nb-session') && n.scrollWidth > n.clientWidth + 1).length"""
    assert hall.js(scrolls) == 0


def test_tab_goes_through_the_card_in_its_order_and_is_always_seen(lab):
    notebook = lab([STAGE + MORE["stack"]])
    notebook.run(0)
    page = notebook.page
    page.wait_for_selector(".hitl-nb-seg")
    page.wait_for_selector(".hitl-nb-card[data-dressed]")
    page.keyboard.press("Tab")
    notebook.js("document.querySelector('.hitl-nb-stack').focus()")
    stops = []
    for _ in range(7):
        page.keyboard.press("Tab")
        stops.append(
            notebook.js(
                """const at = document.activeElement, look = getComputedStyle(at);
                const label = at.getAttribute('aria-label') ?? at.closest('.widget-textarea')?.querySelector('label').textContent ?? at.textContent;
                return [label, look.outlineStyle !== 'none' && parseFloat(look.outlineWidth) >= 2]"""
            )
        )
    names = [name for name, _ in stops]
    assert names == ["Next question", "Draft", "Comment (optional)", "Approve", "Edit", "Reject", "Keys"]
    assert all(seen for _, seen in stops)
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Send 1 answer").wait_for()


def test_a_screen_reader_hears_what_is_written_down(lab):
    cells = {**{kind: f"Desk().ask({kind!r})" for kind in KINDS}, **MORE}
    notebook = lab([STAGE + code for code in cells.values()], height=3000)
    notebook.run_all()
    notebook.done(len(cells) - 1, 60)
    notebook.page.wait_for_selector(".hitl-nb-seg")
    notebook.page.wait_for_function(f"document.querySelectorAll('.hitl-nb-card .hitl-nb-help').length === {len(cells)}")
    heard = []
    for n, name in enumerate(cells):
        said = notebook.output(n).locator(".hitl-nb-session").aria_snapshot()
        said = re.sub(r"asked (\d+ min ago|just now)", "asked 2 min ago", said).replace("\u200b", "")
        heard.append(f"# {name}\n{said}\n")
    if "HITL_NB_HEAR" in os.environ:
        HEARD.write_text("\n".join(heard), encoding="utf-8")
    written = HEARD.read_text(encoding="utf-8")
    assert "\n".join(heard) == written, "read what a screen reader hears now; when it is right, write it down with HITL_NB_HEAR=1"
