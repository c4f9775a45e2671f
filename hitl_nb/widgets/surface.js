// Dresses the card it sits in with what ipywidgets cannot say: roles, names, keys, exact text on a click, fresh times. And draws a tree.
// Everything a text needs to be read and answered works without it, so a front end that lacks anywidget loses comfort only.
// tree.js, keys.js and inbox.js stand before it: they are one module.

// A number that nothing else in the page has: each surface has this module for itself, and all draw into one page.
const COUNT = Symbol.for("hitl-nb.count");
const fresh = () => (globalThis[COUNT] = (globalThis[COUNT] ?? 0) + 1);

// Which page speaks: those that show the same card have its widgets in common, and the kernel knows their clicks apart by this only.
const PAGE = Symbol.for("hitl-nb.page");
const page = (globalThis[PAGE] ??= Math.random().toString(36).slice(2));

// -- times

const round = (seconds) => seconds < 3600 ? [Math.round(seconds / 60), "min"] : seconds < 172800 ? [Math.round(seconds / 3600), "h"] : [Math.round(seconds / 86400), "days"];
const words = (seconds) => round(seconds).join(" ");

const left = (seconds) => seconds < 120 ? `${Math.ceil(seconds)} s` : words(seconds);

// Keeps the times fresh; returns after how many milliseconds to do it again.
function tick(card, model) {
  const now = Date.now() / 1000;
  let next = 30000, late = 0;
  for (const node of card.querySelectorAll("time[data-asked]")) {
    const s = now - node.dataset.asked, text = s < 60 ? "asked just now" : `asked ${words(s)} ago`;
    if (node.textContent !== text) node.textContent = text;
  }
  for (const node of card.querySelectorAll("time[data-due]")) {
    const s = node.dataset.due - now, text = s < 0 ? `overdue ${left(-s)}` : `due in ${left(s)}`;
    if (node.textContent !== text) node.textContent = text;
    put(node, { class: s < 0 ? "hitl-nb-bad" : s < 3600 ? "hitl-nb-warn" : "" });
    if (Math.abs(s) < 150) next = 1000;
    late += s < 0;
  }
  // It may have been handed on, or have got its default. The kernel looks after a list by itself: there only the number of those that are late is news.
  // Nothing is late any more when a clock that was ahead was put right.
  const isNews = late !== (card.hitlLate ?? 0) || (late > 0 && !card.matches(".hitl-nb-surface"));
  if (isNews && !document.hidden) { card.hitlLate = late; model.send({ act: "due", arg: "", value: null, fields: {} }); }
  return next;
}

// -- the card around it, and the frame around the card: the stack it lies in, or the card itself

const frameOf = (node) => node.closest(".hitl-nb-stack") ?? node.closest(".hitl-nb-card, .hitl-nb-inbox") ?? node;
const seen = (node) => node.offsetParent !== null;
const isText = (node) => node.matches("textarea, select, input:not([type=radio], [type=checkbox], [type=range], [type=color]), [contenteditable]");

// Lab's command mode would insert a cell on 'a'. It looks for this at the very element that has the keyboard.
const quiet = (node) => put(node, { "data-lm-suppress-shortcuts": "true" });

function dress(card, model, isBar) {
  const frame = frameOf(card), on = keysOn(model), label = model.get("label");
  if (label) put(card, { role: "group", "aria-label": label });
  else for (const name of ["role", "aria-label"]) card.removeAttribute(name);
  put(card, { tabindex: -1, "data-dressed": "" });
  put(frame, { "data-keys": on ? "on" : "off" });
  if (frame.contains(document.activeElement)) quiet(document.activeElement);
  for (const node of card.querySelectorAll('[class*=" hitl-nb-key-"]')) put(node, { "data-key": node.className.match(/ hitl-nb-key-(.)/)[1] });
  for (const node of card.querySelectorAll("button[data-key]")) {
    if (on) put(node, { "aria-keyshortcuts": node.dataset.key }); else node.removeAttribute("aria-keyshortcuts");
  }
  if (isBar) return;
  for (const node of card.querySelectorAll(".hitl-nb-live")) put(node, { role: "status", id: node.id || `hitl-nb-live-${fresh()}` });
  for (const node of card.querySelectorAll(".hitl-nb-chosen")) put(node, { "aria-pressed": "true" });
  const line = card.querySelector(".hitl-nb-live");
  for (const name of ["main", "comment"]) {
    const field = card.querySelector(`.hitl-nb-${name} textarea`);
    if (!field || !line) continue;
    const why = name === "main" && card.querySelector(".hitl-nb-edit .hitl-nb-why");
    if (why) put(why, { id: why.id || `hitl-nb-why-${fresh()}` });
    put(field, { "aria-describedby": why ? `${why.id} ${line.id}` : line.id, "aria-invalid": model.get("invalid") === name });
  }
  const foot = card.querySelector(".hitl-nb-foot");
  if (foot && !foot.querySelector(":scope > .hitl-nb-help")) {
    const help = foot.appendChild(document.createElement("button"));
    put(help, { type: "button", class: "hitl-nb-help", "aria-label": "Keys", title: "Keys", "aria-expanded": false });
    help.textContent = "?";
  }
}

function typed(card) {
  const read = (name) => card.querySelector(`.hitl-nb-${name} textarea`)?.value ?? null;
  return { text: read("main"), comment: read("comment") };
}

// After an answer the next card takes the keyboard, unless the person has gone on to something else, or holds a button of the stack's bar.
function grab(card) {
  const at = document.activeElement;
  if (at?.closest(".hitl-nb-bar") || (card.contains(at) && isText(at))) return;
  if (!at || at === document.body || at.closest(".hitl-nb-session") || at.matches(".jp-Notebook, .jp-Cell, .jp-WindowedPanel-outer")) {
    card.focus({ preventScroll: true });
    card.scrollIntoView({ block: "nearest" });
  }
}

// What has the keyboard and goes leaves it to its card, or a card that goes to the stack: on the page's body, keys would be the notebook's.
function keepFocus(stack, signal) {
  let last = null, card = null;
  stack.addEventListener("focusin", (event) => { quiet(event.target); last = event.target; card = last.closest(".hitl-nb-card"); }, { signal });
  stack.addEventListener("focusout", (event) => { if (event.relatedTarget) last = null; }, { signal });
  const watch = new MutationObserver(() => {
    if (last && !last.isConnected && document.activeElement === document.body) (card?.isConnected ? card : stack).focus({ preventScroll: true });
  });
  watch.observe(stack, { childList: true, subtree: true });
  signal.addEventListener("abort", () => watch.disconnect());
}

// -- what it hears

function listen(card, el, model, signal) {
  const frame = frameOf(card);
  frame.addEventListener("focusin", (event) => quiet(event.target), { signal });
  frame.addEventListener("keydown", (event) => onKey(event, frame, model), { signal, capture: true });  // capture: ipywidgets' text views stop keydown from bubbling
  card.addEventListener("hitl-nb-hold", () => model.send({ hold: true, ...typed(card), fields: fieldsOf(el) }), { signal });
  let clicked = null;
  card.addEventListener("click", (event) => {
    // The second click of a double click may land on a button that took the place of the one it was meant for: in the next card, or in this one.
    const before = clicked;
    clicked = event.target.closest("button");
    if (clicked && clicked !== before && event.detail > 1) { event.stopPropagation(); return; }
    if (event.target.closest(".hitl-nb-help")) { toggleSheet(frame, model); return; }
    // ipywidgets may still hold back the last keystrokes, and a message of their own could arrive after the click's: one message brings all.
    const press = event.target.closest(".hitl-nb-send")?.className.match(/ hitl-nb-press-(\d+)/);
    if (!press) return;
    event.stopPropagation();
    if (event.detail < 2) model.send({ press: Number(press[1]), page, ...typed(card), fields: fieldsOf(el) });
  }, { signal, capture: true });
}

function render({ model, el }) {
  const off = new AbortController(), view = `hitl-nb-${fresh()}-`;
  let watch, clock, frame, later;
  const draw = () => redraw(el, model.get("tree"), view);
  const hear = (message) => {
    if (Number.isInteger(message?.echo)) model.send({ echoed: message.echo });
    const node = typeof message?.focus === "string" && document.getElementById(view + message.focus);
    if (node) { node.focus({ preventScroll: true }); node.scrollIntoView({ block: "nearest" }); }
  };
  el.classList.add("hitl-nb-surface");
  draw(); report(el, model, off.signal);
  model.on("change:tree", draw); model.on("msg:custom", hear);
  off.signal.addEventListener("abort", () => { model.off("change:tree", draw); model.off("msg:custom", hear); });
  const start = (tries) => {  // a view is attached some frames after it is rendered
    const card = el.closest(".hitl-nb-card, .hitl-nb-stack, .hitl-nb-inbox");
    if (!card) { if (tries) frame = requestAnimationFrame(() => start(tries - 1)); return; }
    const isInbox = card.matches(".hitl-nb-inbox"), isBar = isInbox || card.matches(".hitl-nb-stack"), again = () => dress(card, model, isBar);
    watch = new MutationObserver(again);
    watch.observe(isBar ? el : card, { childList: true, subtree: true });
    dressed.add(again);
    model.on("change:invalid change:label", again);
    off.signal.addEventListener("abort", () => { dressed.delete(again); model.off("change:invalid change:label", again); });
    again();
    const tock = () => { clock = setTimeout(tock, tick(isBar ? el : card, model)); };
    if (isBar) keepFocus(card, off.signal);
    if (isInbox) { tock(); lead(card, el, model, off.signal); }
    if (isBar) return;
    tock(); listen(card, el, model, off.signal);
    const take = () => {
      if (!model.get("grab")) return;
      grab(card);
      // The output may be drawn again at once; only later is a new drawing a page that was loaded again.
      later = setTimeout(() => { model.set("grab", false); model.save_changes(); }, 3000);
    };
    take(); model.on("change:grab", take);
    off.signal.addEventListener("abort", () => model.off("change:grab", take));
  };
  start(600);
  return () => { off.abort(); watch?.disconnect(); clearTimeout(clock); clearTimeout(later); cancelAnimationFrame(frame); };
}

export default { render };
