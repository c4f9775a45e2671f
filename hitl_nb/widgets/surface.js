// Dresses the card it sits in with what ipywidgets cannot say: roles, names, keys, exact text on a click, fresh times.
// Shows nothing itself, so a card without it (a front end that lacks anywidget) can still be read and answered by mouse.
const put = (node, attributes) => {
  for (const name in attributes) if (node.getAttribute(name) !== String(attributes[name])) node.setAttribute(name, attributes[name]);
};
const round = (seconds) => seconds < 3600 ? [Math.round(seconds / 60), "min"] : seconds < 172800 ? [Math.round(seconds / 3600), "h"] : [Math.round(seconds / 86400), "days"];
const words = (seconds) => round(seconds).join(" ");

function tick(card) {
  const now = Date.now() / 1000;
  for (const node of card.querySelectorAll("time[data-asked]")) {
    const s = now - node.dataset.asked, text = s < 60 ? "asked just now" : `asked ${words(s)} ago`;
    if (node.textContent !== text) node.textContent = text;
  }
  for (const node of card.querySelectorAll("time[data-due]")) {
    const s = node.dataset.due - now, text = s < 0 ? `overdue ${words(-s)}` : `due in ${words(s)}`;
    if (node.textContent !== text) node.textContent = text;
    put(node, { class: s < 0 ? "hitl-nb-bad" : s < 3600 ? "hitl-nb-warn" : "" });
  }
}

function dress(card, model) {
  put(card, { role: "group", "aria-label": model.get("label"), tabindex: -1 });
  for (const node of card.querySelectorAll(".hitl-nb-live")) put(node, { role: "status", id: node.id || "hitl-nb-" + crypto.randomUUID() });
  for (const node of card.querySelectorAll('[class*=" hitl-nb-key-"]')) {
    const key = node.className.match(/ hitl-nb-key-(.)/)[1];
    put(node, { "data-key": key, "aria-keyshortcuts": key });
  }
  const line = card.querySelector(".hitl-nb-live");
  for (const name of ["main", "comment"]) {
    const field = card.querySelector(`.hitl-nb-${name} textarea`);
    if (field && line) put(field, { "aria-describedby": line.id, "aria-invalid": model.get("invalid") === name });
  }
}

function typed(card) {
  const read = (name) => card.querySelector(`.hitl-nb-${name} textarea`)?.value ?? null;
  return { text: read("main"), comment: read("comment") };
}

// After an answer the next card takes the keyboard, unless the person has gone on to something else.
function grab(card, model) {
  const at = document.activeElement;
  if (!at || at === document.body || at.closest(".hitl-nb-session") || at.matches(".jp-Notebook, .jp-Cell, .jp-WindowedPanel-outer")) {
    card.focus({ preventScroll: true });
    card.scrollIntoView({ block: "nearest" });
  }
}

function listen(card, model, signal) {
  card.addEventListener("focusin", (event) => { event.target.dataset.lmSuppressShortcuts = "true"; }, { signal });  // Lab's command mode would insert a cell on 'a'
  card.addEventListener("click", (event) => {
    // ipywidgets may still hold back the last keystrokes, and a message of their own could arrive after the click's: one message brings both.
    const press = event.target.closest(".hitl-nb-send")?.className.match(/ hitl-nb-press-(\d+)/);
    if (!press) return;
    event.stopPropagation();
    model.send({ press: Number(press[1]), ...typed(card) });
  }, { signal, capture: true });
  card.addEventListener("keydown", (event) => {
    const typing = event.target.matches("textarea, input"), mod = event.ctrlKey || event.metaKey;
    if (event.key === "Escape" && typing) { card.focus(); event.stopPropagation(); return; }
    let wanted = "";
    if (mod && event.key === "Enter") wanted = ".hitl-nb-primary";
    else if (!typing && !mod && !event.altKey && event.key.length === 1) wanted = `[data-key="${CSS.escape(event.key.toLowerCase())}"]`;
    const button = wanted && card.querySelector(`button${wanted}:enabled`);
    if (button && button.offsetParent && !event.repeat) { event.preventDefault(); event.stopPropagation(); button.click(); }
  }, { signal, capture: true });  // capture: ipywidgets' text views stop keydown from bubbling
}

function render({ model, el }) {
  const off = new AbortController();
  let watch, clock, frame, later;
  const start = (tries) => {  // a view is attached some frames after it is rendered
    const card = el.closest(".hitl-nb-card");
    if (!card) { if (tries) frame = requestAnimationFrame(() => start(tries - 1)); return; }
    const again = () => dress(card, model);
    watch = new MutationObserver(again);
    watch.observe(card, { childList: true, subtree: true });
    clock = setInterval(() => tick(card), 30000);
    model.on("change:invalid", again);
    off.signal.addEventListener("abort", () => model.off("change:invalid", again));
    again(); tick(card); listen(card, model, off.signal);
    if (model.get("grab")) {
      grab(card, model);
      // The output may be drawn again at once; only later is a new drawing a page that was loaded again.
      later = setTimeout(() => { model.set("grab", false); model.save_changes(); }, 3000);
    }
  };
  start(600);
  return () => { off.abort(); watch?.disconnect(); clearInterval(clock); clearTimeout(later); cancelAnimationFrame(frame); };
}

export default { render };
