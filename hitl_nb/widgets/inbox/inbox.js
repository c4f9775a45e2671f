// The keyboard in an inbox: from row to row, to the next question, to the search. One module with tree.js, keys.js and surface.js.

const openers = (inbox) => [...inbox.querySelectorAll(".hitl-nb-openit")];

// One row is a stop for Tab, the arrows lead to the others.
function rove(inbox) {
  const all = openers(inbox), at = all.find((b) => b === document.activeElement) ?? all.find((b) => b.hitlStop)
    ?? all.find((b) => b.closest("[aria-current]")) ?? all[0];
  for (const each of all) { each.hitlStop = each === at; put(each, { tabindex: each === at ? 0 : -1 }); }
  return at;
}

const inboxKeys = [["j k", "Next and previous row; the arrows do the same"], ["Enter", "Open the row"], ["x", "Pick the row, or drop it again"],
  ["n", "Next unanswered question"], ["p", "Previous unanswered question"], ["/", "Search"], ["Esc", "From the search or a card back to the list"], ["?", "These keys"]];

function inboxSheet(model) {
  const single = /^[a-z/?]$/, on = keysOn(model);
  const rows = inboxKeys.filter(([key]) => on || !key.split(" ").every((k) => single.test(k)))
    .map(([key, what]) => ["div", {}, ["dt", {}, ...key.split(" ").map((k) => ["kbd", {}, k.length === 1 ? k.toUpperCase() : k])], ["dd", {}, what]]);
  return keySheet("Keys in this list", rows, model);
}

function inboxKey(event, inbox, model) {
  if (event.hitlNb || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
  const at = event.target, typing = isText(at), inCard = at.closest(".hitl-nb-card"), inSheet = at.closest(".hitl-nb-keys"), on = keysOn(model);
  const search = inbox.querySelector(".hitl-nb-search"), all = openers(inbox), row = rove(inbox);
  const done = () => { event.hitlNb = true; event.preventDefault(); event.stopPropagation(); };
  const press = (button) => { done(); if (button && !button.disabled && !event.repeat && !isSecondTap(event, button)) button.click(); };
  const go = (button) => { done(); if (button) { button.focus({ preventScroll: true }); button.closest("li").scrollIntoView({ block: "nearest" }); } };
  if (event.key === "Escape") {
    if (sheetOf(inbox) && !inCard) { done(); closeSheet(inbox); }
    else if (at === search || (inCard && !typing && !inCard.querySelector(".hitl-nb-keys"))) { if (row) go(row); else { done(); inbox.focus({ preventScroll: true }); } }
    return;
  }
  if (on && !typing && "np".includes(event.key)) { press(inbox.querySelector(`.hitl-nb-steps [data-key=${event.key}]`)); return; }
  if (on && !typing && event.key === "/") { done(); search?.focus(); search?.select(); return; }
  if (inCard || inSheet) return;
  if (on && !typing && event.key === "?") { done(); if (!event.repeat) toggleSheet(inbox, model); return; }
  if (at === search && ["Enter", "ArrowDown"].includes(event.key)) { if (row) go(all[0]); else done(); return; }
  if (typing) return;
  const step = { ArrowDown: 1, ArrowUp: -1, ...(on ? { j: 1, k: -1 } : {}) }[event.key];
  if (step) {
    const to = at.closest("li") ? all[all.indexOf(at.closest("li").querySelector(".hitl-nb-openit")) + step] : row;
    if (to) go(to); else press(inbox.querySelector(step > 0 ? "[data-act=page][data-arg=next]" : "[data-act=page][data-arg=prev]"));
  } else if (on && event.key === "x" && at.closest("li")) { done(); if (!event.repeat) at.closest("li").querySelector("[data-act=pick]")?.click(); }
}

function lead(inbox, el, model, signal) {
  inbox.addEventListener("keydown", (event) => inboxKey(event, inbox, model), { signal, capture: true });
  inbox.addEventListener("focusin", () => rove(inbox), { signal });
  inbox.addEventListener("click", (event) => { if (event.target.closest(".hitl-nb-list .hitl-nb-help")) toggleSheet(inbox, model); }, { signal });
  // The row of the open card stays in sight, inside the list only: the page itself does not move.
  let here = null;
  const again = () => {
    rove(inbox);
    const row = inbox.querySelector(".hitl-nb-here"), list = inbox.querySelector(".hitl-nb-items");
    if (row && list && row.id !== here) {
      const above = row.offsetTop - list.offsetTop, below = above + row.offsetHeight;
      if (above < list.scrollTop || below > list.scrollTop + list.clientHeight) list.scrollTop = Math.max(0, above - row.offsetHeight);
    }
    here = row?.id ?? null;
  };
  const watch = new MutationObserver(again);
  watch.observe(el, { childList: true, subtree: true, attributes: true, attributeFilter: ["class"] });
  signal.addEventListener("abort", () => watch.disconnect());
  again();
}
