// Dresses the card it sits in with what ipywidgets cannot say: roles, names, keys, exact text on a click, fresh times. And draws a tree.
// Everything a text needs to be read and answered works without it, so a front end that lacks anywidget loses comfort only.
const put = (node, attributes) => {
  for (const name in attributes) if (node.getAttribute(name) !== String(attributes[name])) node.setAttribute(name, attributes[name]);
};

// A number that nothing else in the page has: each surface has this module for itself, and all draw into one page.
const COUNT = Symbol.for("hitl-nb.count");
const fresh = () => (globalThis[COUNT] = (globalThis[COUNT] ?? 0) + 1);

// -- times

const round = (seconds) => seconds < 3600 ? [Math.round(seconds / 60), "min"] : seconds < 172800 ? [Math.round(seconds / 3600), "h"] : [Math.round(seconds / 86400), "days"];
const words = (seconds) => round(seconds).join(" ");

const left = (seconds) => seconds < 120 ? `${Math.ceil(seconds)} s` : words(seconds);

// Keeps the times fresh; returns after how many milliseconds to do it again.
function tick(card, model) {
  const now = Date.now() / 1000;
  let next = 30000;
  for (const node of card.querySelectorAll("time[data-asked]")) {
    const s = now - node.dataset.asked, text = s < 60 ? "asked just now" : `asked ${words(s)} ago`;
    if (node.textContent !== text) node.textContent = text;
  }
  for (const node of card.querySelectorAll("time[data-due]")) {
    const s = node.dataset.due - now, text = s < 0 ? `overdue ${left(-s)}` : `due in ${left(s)}`;
    if (node.textContent !== text) node.textContent = text;
    put(node, { class: s < 0 ? "hitl-nb-bad" : s < 3600 ? "hitl-nb-warn" : "" });
    if (Math.abs(s) < 150) next = 1000;
    if (s < 0 && !document.hidden) model.send({ act: "due", arg: "", value: null, fields: {} });  // it may have been handed on, or have got its default
  }
  return next;
}

// -- the tree: elements and text nodes only, of known tags with known attributes

const TAGS = new Set(("div span p b i em strong small code pre kbd del ins hr ul ol li dl dt dd table caption thead tbody tr th td "
  + "button input textarea select option optgroup label fieldset legend details summary progress img time").split(" "));
const ATTRIBUTES = /^(class|id|for|name|type|role|title|tabindex|colspan|rowspan|scope|disabled|readonly|placeholder|min|max|step|rows|size|inputmode|autocomplete|spellcheck|hidden|open|lang|dir|alt|src|data-(act|arg|on|f|key|enter|escape|due|asked)|aria-[a-z]+)$/;
const NAMES = /^(id|for|name|aria-(labelledby|describedby|controls|owns|activedescendant|errormessage))$/;  // several views of one widget share a page
const PICTURE = /^data:image\/(png|jpeg|gif|webp|svg\+xml);base64,[A-Za-z0-9+/=]*$/;
const INPUTS = new Set("text search email url tel number date time datetime-local month week color range checkbox radio".split(" "));
const PATHS = {
  ok: ["M8 1.75a6.25 6.25 0 1 1 0 12.5 6.25 6.25 0 0 1 0-12.5", "M5.2 8.3l1.9 1.9 3.7-4.2"], bad: ["M8 1.75a6.25 6.25 0 1 1 0 12.5 6.25 6.25 0 0 1 0-12.5", "M8 4.8v3.8M8 11v.1"],
  open: ["M8 1.75a6.25 6.25 0 1 1 0 12.5 6.25 6.25 0 0 1 0-12.5"], run: ["M8 1.75a6.25 6.25 0 1 1-6.25 6.25"], check: ["M3.5 8.5l3 3 6-7"], x: ["M4 4l8 8M12 4l-8 8"],
  edit: ["M3 13l.8-3.2L10.9 2.7a1 1 0 0 1 1.4 0l1 1a1 1 0 0 1 0 1.4L6.2 12.2z"], up: ["M8 13V3.5M4 7.2l4-4 4 4"], down: ["M8 3v9.5M4 8.8l4 4 4-4"],
  prev: ["M10 3.5L5.5 8l4.5 4.5"], next: ["M6 3.5L10.5 8 6 12.5"], plus: ["M8 3.5v9M3.5 8h9"],
};
const SVG = "http://www.w3.org/2000/svg";

function icon(name) {
  const drawn = document.createElementNS(SVG, "svg");
  put(drawn, { viewBox: "0 0 16 16", "aria-hidden": "true", "data-icon": name });
  if (name === "run") drawn.classList.add("hitl-nb-spin");
  for (const d of PATHS[name] ?? []) put(drawn.appendChild(document.createElementNS(SVG, "path")), { d });
  return drawn;
}

function fill(node, [tag, attributes, ...children], view) {
  const own = { ...attributes }, isNew = node.hitl === undefined;
  const renewed = isNew || node.hitl.rev !== own.rev;
  for (const name of node.hitl?.names ?? []) if (!(name in own)) node.removeAttribute(name);
  const names = [];
  for (const [name, value] of Object.entries(own)) {
    if (!ATTRIBUTES.test(name) || (name === "src" && !PICTURE.test(value)) || (name === "type" && tag === "input" && !INPUTS.has(value))) continue;
    if (name === "open" && !isNew) continue;  // a person opens and closes it
    names.push(name);
    put(node, { [name]: name === "type" && tag === "button" ? "button" : NAMES.test(name) ? value.split(" ").map((v) => view + v).join(" ") : value });
  }
  if (tag === "button") put(node, { type: "button" });
  node.hitl = { names, rev: own.rev };
  if (tag !== "textarea" && tag !== "input") grow(node, children, view);
  if (tag === "progress") { if ("value" in own) put(node, { value: own.value }); else node.removeAttribute("value"); }  // no person changes it
  if (!renewed) return;
  if (own.type === "checkbox" || own.type === "radio") { node.checked = "checked" in own; if ("value" in own) node.setAttribute("value", own.value); }
  else if (tag === "option") node.setAttribute("value", own.value ?? "");
  else if (tag === "input" || tag === "textarea" || tag === "select") node.value = own.value ?? "";
}

// Makes the children of `parent` what `nodes` says. Nodes with an id are moved, not made anew, so that focus and typed text stay.
function grow(parent, nodes, view) {
  const known = new Map();
  for (const child of parent.children) if (child.id) known.set(child.id, child);
  let at = parent.firstChild;
  for (const node of nodes) {
    const tag = typeof node === "string" ? "" : node[0];
    let use;
    if (tag === "") use = at?.nodeType === 3 ? at : document.createTextNode("");
    else if (tag === "icon") use = at?.nodeType === 1 && at.dataset.icon === node[1].name ? at : icon(node[1].name);
    else if (!TAGS.has(tag)) continue;
    else if (node[1].id) { const same = known.get(view + node[1].id); use = same?.localName === tag ? same : document.createElement(tag); }
    else {
      use = at;
      while (use && !(use.nodeType === 1 && use.localName === tag && !use.id && use.hitl)) use = use.nextSibling;
      if (use) while (at !== use) { const next = at.nextSibling; at.remove(); at = next; }  // it stays where it is, and keeps its focus and its scroll position
      else use = document.createElement(tag);
    }
    if (use === at) at = at.nextSibling; else parent.insertBefore(use, at);
    if (tag === "") { if (use.nodeValue !== node) use.nodeValue = node; } else if (tag !== "icon") fill(use, node, view);
  }
  while (at) { const next = at.nextSibling; at.remove(); at = next; }
}

function redraw(el, nodes, view) {
  const focused = el.contains(document.activeElement) ? document.activeElement : null;
  grow(el, nodes, view);
  if (focused && focused.isConnected && document.activeElement !== focused) focused.focus({ preventScroll: true });
}

function valueOf(control) {
  if (control.type === "checkbox") return control.checked;
  // Half a date is no empty one: the browser gives "" for both.
  if (control.value === "" && control.validity?.badInput) return "incomplete";
  if (control.multiple) return [...control.selectedOptions].map((o) => o.value);
  return control.value ?? null;
}

function fieldsOf(el) {
  const found = {};
  for (const control of el.querySelectorAll("[data-f]")) {
    const name = control.dataset.f;
    if (control.type !== "radio") found[name] = valueOf(control);
    else if (control.checked) found[name] = control.value;
    else found[name] ??= null;
  }
  return found;
}

function report(el, model, signal) {
  let later, typing = null;
  const send = (node, act = node.dataset.act) => {
    clearTimeout(later); typing = null;
    if (node.closest(".hitl-nb-bar")) for (const card of frameOf(node).querySelectorAll(".hitl-nb-card")) card.dispatchEvent(new Event("hitl-nb-hold"));
    model.send({ act, arg: node.dataset.arg ?? "", value: node.matches("input, select, textarea") ? valueOf(node) : null, fields: fieldsOf(el) });
  };
  const on = (kind, handle) => el.addEventListener(kind, (event) => {
    const node = event.target.closest("[data-act]");
    if (node && (node.dataset.on ?? (node.matches("input, select, textarea") ? "change" : "click")) === kind && !node.disabled) handle(node, event);
  }, { signal });
  on("click", (node) => send(node));
  on("change", (node) => send(node));
  on("input", (node) => { clearTimeout(later); typing = node; later = setTimeout(() => send(node), 200); });
  // A field that is left is told at once: a button below the panel, which brings no fields along, would be faster than what was typed.
  el.addEventListener("focusout", () => { if (typing) send(typing); }, { signal });
  // JupyterLab keeps line breaks out of every text field in a cell whose key press it hears of.
  el.addEventListener("keydown", (event) => { if (event.key === "Enter" && event.target.matches("textarea")) event.stopPropagation(); }, { signal });
  el.addEventListener("keydown", (event) => {
    const name = { Enter: "enter", Escape: "escape" }[event.key], node = name && event.target.closest(`[data-${name}]`);
    if (!node || event.isComposing || event.ctrlKey || event.metaKey) return;
    event.preventDefault(); event.stopPropagation();
    send(event.target, node.dataset[name]);
  }, { signal });
}

// -- the card around it, and the frame around the card: the stack it lies in, or the card itself

const frameOf = (card) => card.closest(".hitl-nb-stack") ?? card;
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

// -- keys

const SWITCH = "hitl-nb-keys";  // in the browser's storage: the person's own choice, for all notebooks
const dressed = new Set();
let switched = null;  // where nothing can be stored

function keysOn(model) {
  if (!model.get("single_keys")) return false;
  try { return localStorage.getItem(SWITCH) !== "off"; } catch { return switched !== "off"; }
}

function switchKeys(model) {
  switched = keysOn(model) ? "off" : "on";
  try { localStorage.setItem(SWITCH, switched); } catch { /* then for this page only */ }
  for (const again of dressed) again();
}

const keyed = (frame) => [...frame.querySelectorAll("button[data-key]")].filter((b) => seen(b) && !b.closest(".hitl-nb-keys"));
const choices = (frame) => [...frame.querySelectorAll(".hitl-nb-row button:is([data-key], .hitl-nb-nth)")].filter((b) => seen(b) && !b.closest(".hitl-nb-keys"));
const radios = (radio, frame) => [...frame.querySelectorAll("input[type=radio]")].filter((r) => r.name === radio.name);
const named = (button) => button.getAttribute("aria-label") ?? button.textContent;

// What a digit means: of choices that are numbers, the one with this number; else their place.
const isNumbered = (words) => words.some((word) => /^\d/.test(word));
function numbered(all, words, digit) {
  if (!isNumbered(words)) return all[digit - 1];
  const found = all.filter((_, n) => words[n].match(/^\d+/)?.[0] === digit);
  return found.length === 1 ? found[0] : undefined;
}
const keysOf = (buttons) => buttons.map((b) => b.dataset.key ?? "");
const wordsOf = (radio) => radio.closest("label")?.textContent.trim() ?? "";

// What a key would press now: a button, or the n-th radio button of the group that has the keyboard.
function meant(event, frame, on) {
  if ((event.ctrlKey || event.metaKey) && event.key === "Enter") return [...frame.querySelectorAll("button.hitl-nb-primary")].find(seen);
  if (!on || isText(event.target) || event.target.matches(".hitl-nb-stack") || event.ctrlKey || event.metaKey || event.altKey || event.key.length !== 1) return undefined;
  if (/[0-9]/.test(event.key)) {
    const all = event.target.type === "radio" ? radios(event.target, frame) : choices(frame);
    return numbered(all, event.target.type === "radio" ? all.map(wordsOf) : keysOf(all), event.key);
  }
  return keyed(frame).find((b) => b.dataset.key === event.key.toLowerCase());
}

// A key that is hit twice in haste is meant for one button: the next card, which took the first one's place in between, must not hear of it.
const TAPPED = Symbol.for("hitl-nb.tapped"), TWICE_MS = 300;
function isSecondTap(event, button) {
  const before = globalThis[TAPPED];
  globalThis[TAPPED] = { key: event.key, button, at: event.timeStamp };
  return before !== undefined && before.key === event.key && before.button !== button && event.timeStamp - before.at < TWICE_MS;
}

function onKey(event, frame, model) {
  if (event.hitlNb) return;  // the surfaces of a frame all listen, one acts
  event.hitlNb = true;
  const on = keysOn(model), open = frame.querySelector(".hitl-nb-keys"), typing = isText(event.target);
  const done = () => { event.preventDefault(); event.stopPropagation(); };
  if (event.isComposing) return;
  if (event.key === "Escape" && open && !typing) { done(); closeSheet(frame); return; }
  if (event.key === "Escape" && typing && !event.target.closest("[data-escape]")) { (event.target.closest(".hitl-nb-card") ?? frame).focus(); event.stopPropagation(); return; }
  if (event.key === "?" && on && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) { done(); if (!event.repeat) toggleSheet(frame, model); return; }
  const control = meant(event, frame, on);
  if (!control || control.disabled || event.repeat) return;
  done();
  if (control.closest(".hitl-nb-row") && isSecondTap(event, control)) return;
  if (typing && event.target.closest(".hitl-nb-own")) event.target.dispatchEvent(new Event("change", { bubbles: true }));  // a number field tells no sooner
  if (control.type === "radio") control.focus();
  control.click();
}

function sheet(frame, model) {
  const on = keysOn(model), rows = [], say = (key, what) => rows.push(["div", {}, ["dt", {}, ...key.split(" ").map((k) => (k === "to" ? k : ["kbd", {}, k]))], ["dd", {}, what]]);
  const primary = [...frame.querySelectorAll("button.hitl-nb-primary:enabled")].find(seen), count = isNumbered(keysOf(choices(frame))) ? 0 : choices(frame).length;
  const pressed = (buttons) => { for (const button of buttons) if (!button.disabled && button.dataset.key) say(button.dataset.key.toUpperCase(), named(button)); };
  if (on) pressed(choices(frame));
  if (on && count) say(count > 1 ? `1 to ${Math.min(9, count)}` : "1", count > 1 ? "The buttons, from the left" : "The button");
  if (on && [...frame.querySelectorAll("input[type=radio]")].some(seen)) say("1 to 9", "The choices, where one of them has the keyboard");
  if (primary) say("Ctrl Enter", named(primary));
  if ([...frame.querySelectorAll("textarea, input")].some((field) => seen(field) && isText(field))) say("Esc", "Leave the text field");
  if (on) pressed(keyed(frame).filter((button) => !choices(frame).includes(button)));
  if (on) say("?", "These keys");
  const own = model.get("single_keys") ? ["button", { class: "hitl-nb-btn hitl-nb-small hitl-nb-switch", role: "switch", "aria-checked": on }, `Single keys: ${on ? "on" : "off"}`]
    : ["span", { class: "hitl-nb-mut" }, "Single keys are switched off here."];
  const note = on || !model.get("single_keys") ? [] : [["p", { class: "hitl-nb-mut" }, "Switched on, a single key presses a button while the keyboard is in a card and not in a text field."]];
  return [["div", { class: "hitl-nb-cap" }, "Keys in this card"], ["dl", {}, ...rows], ...note,
    ["div", { class: "hitl-nb-keyrow" }, own, ["button", { class: "hitl-nb-btn hitl-nb-small hitl-nb-quiet" }, "Close"]]];
}

function toggleSheet(frame, model) {
  if (frame.querySelector(".hitl-nb-keys")) { closeSheet(frame); return; }
  const foot = [...frame.querySelectorAll(".hitl-nb-foot")].find(seen);
  if (!foot) return;
  const box = document.createElement("div"), before = document.activeElement;
  put(box, { class: "hitl-nb-keys", role: "dialog", "aria-label": "Keys in this card", tabindex: -1 });
  const draw = () => grow(box, sheet(frame, model), "");
  box.hitlBack = frame.contains(before) ? before : frame;
  box.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.matches(".hitl-nb-switch")) { switchKeys(model); draw(); } else if (button) closeSheet(frame);
  });
  draw();
  foot.after(box);
  foot.querySelector(".hitl-nb-help")?.setAttribute("aria-expanded", "true");
  box.focus({ preventScroll: true });
  box.scrollIntoView({ block: "nearest" });
}

function closeSheet(frame) {
  const box = frame.querySelector(".hitl-nb-keys"), had = box.contains(document.activeElement);
  box.remove();
  for (const help of frame.querySelectorAll(".hitl-nb-help")) help.setAttribute("aria-expanded", "false");
  if (had) (box.hitlBack.isConnected ? box.hitlBack : frame).focus({ preventScroll: true });
}

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
    if (event.detail < 2) model.send({ press: Number(press[1]), ...typed(card), fields: fieldsOf(el) });
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
    const card = el.closest(".hitl-nb-card, .hitl-nb-stack");
    if (!card) { if (tries) frame = requestAnimationFrame(() => start(tries - 1)); return; }
    const isBar = card.matches(".hitl-nb-stack"), again = () => dress(card, model, isBar);
    watch = new MutationObserver(again);
    watch.observe(isBar ? el : card, { childList: true, subtree: true });
    dressed.add(again);
    model.on("change:invalid change:label", again);
    off.signal.addEventListener("abort", () => { dressed.delete(again); model.off("change:invalid change:label", again); });
    again();
    if (isBar) { keepFocus(card, off.signal); return; }
    const tock = () => { clock = setTimeout(tock, tick(card, model)); };
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
