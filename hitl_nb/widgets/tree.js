// Draws a tree, and reports what happens to it. One module with keys.js and surface.js.

const put = (node, attributes) => {
  for (const name in attributes) if (node.getAttribute(name) !== String(attributes[name])) node.setAttribute(name, attributes[name]);
};

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
    const bar = node.closest(".hitl-nb-bar, .hitl-nb-list")?.closest(".hitl-nb-stack, .hitl-nb-inbox");
    for (const card of bar?.querySelectorAll(".hitl-nb-card") ?? []) card.dispatchEvent(new Event("hitl-nb-hold"));
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
