// What a key means in a card, and the sheet that tells. One module with tree.js and surface.js.

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
  const on = keysOn(model), open = sheetOf(frame), typing = isText(event.target);
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
  return keySheet("Keys in this card", rows, model);
}

function keySheet(title, rows, model) {
  const on = keysOn(model);
  const own = model.get("single_keys") ? ["button", { class: "hitl-nb-btn hitl-nb-small hitl-nb-switch", role: "switch", "aria-checked": on }, `Single keys: ${on ? "on" : "off"}`]
    : ["span", { class: "hitl-nb-mut" }, "Single keys are switched off here."];
  const note = on || !model.get("single_keys") ? [] : [["p", { class: "hitl-nb-mut" }, "Switched on, a single key presses a button while the keyboard is there and not in a text field."]];
  return [["div", { class: "hitl-nb-cap" }, title], ["dl", {}, ...rows], ...note,
    ["div", { class: "hitl-nb-keyrow" }, own, ["button", { class: "hitl-nb-btn hitl-nb-small hitl-nb-quiet" }, "Close"]]];
}

const sheetOf = (frame) => [...frame.querySelectorAll(".hitl-nb-keys")].find((box) => frameOf(box) === frame);

function toggleSheet(frame, model) {
  if (sheetOf(frame)) { closeSheet(frame); return; }
  const foot = frame.matches(".hitl-nb-inbox") ? frame.querySelector(":scope > .hitl-nb-surface") : [...frame.querySelectorAll(".hitl-nb-foot")].find(seen);
  if (!foot) return;
  const box = document.createElement("div"), before = document.activeElement;
  put(box, { class: "hitl-nb-keys", role: "dialog", "aria-label": frame.matches(".hitl-nb-inbox") ? "Keys in this list" : "Keys in this card", tabindex: -1 });
  const draw = () => grow(box, frame.matches(".hitl-nb-inbox") ? inboxSheet(model) : sheet(frame, model), "");
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
  const box = sheetOf(frame), had = box.contains(document.activeElement);
  box.remove();
  for (const help of frame.querySelectorAll(".hitl-nb-help")) help.setAttribute("aria-expanded", "false");
  if (had) (box.hitlBack.isConnected ? box.hitlBack : frame).focus({ preventScroll: true });
}
