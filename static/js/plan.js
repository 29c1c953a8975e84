// The plan page: one edit after the other, and the signature.

// Edits wait for one another. One that waited is sent with the revision that the page shows by then, not with the one
// from before: whoever clicks twice quickly is no second person.
document.addEventListener("htmx:before:request", (event) => {
  const body = event.detail?.ctx?.request?.body;
  const shown = document.querySelector("#plan-panes")?.dataset.revision;
  if (shown && body instanceof URLSearchParams && body.has("revision")) body.set("revision", shown);
});

// A volume, and the note of a reason, is sent a moment after it was changed, or at once with Enter; what was not
// changed is not sent.
let waiting = 0;
const EDITS = "form[data-volume], form[data-because]";
document.addEventListener("change", (event) => {
  const form = event.target.form;
  if (!form?.matches?.(EDITS)) return;
  clearTimeout(waiting);
  waiting = setTimeout(() => form.isConnected && form.requestSubmit(), 250);
});
document.addEventListener("submit", (event) => {
  if (!event.target.matches?.(EDITS)) return;
  clearTimeout(waiting);
  if (event.submitter?.name === "reason") return; // why it was changed, chosen after it
  const typed = [...event.target.elements].filter((field) => ["volume_ml", "note"].includes(field.name));
  if (typed.some((field) => field.value !== field.defaultValue || field.getAttribute("aria-invalid"))) return;
  event.preventDefault();
  event.stopPropagation();
}, true);

// The panel for another ingredient opens empty, and closes when its change is in the plan: on to where that stands.
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-dialog=change]")) document.getElementById("change-body")?.replaceChildren();
}, true);
document.addEventListener("htmx:after:swap", () => {
  const panel = document.querySelector("#change[open]");
  if (!panel?.querySelector("#change-form")?.contains(document.activeElement)) {
    panel?.querySelector("[data-begin]")?.focus();
  }
});
document.addEventListener("plan-changed", (event) => {
  const panel = document.getElementById("change");
  const goOn = () => {
    const begin = document.querySelector("#plan-panes [data-focus-first]");
    const place = document.getElementById(`line-${event.detail?.line}`) ?? document.getElementById("add-ingredient");
    (begin ?? place?.querySelector("a, button") ?? place)?.focus();
  };
  panel?.addEventListener("close", goOn, { once: true });
  panel?.close();
});

// One click into a volume, and what is typed replaces it.
// The click that brought the focus would take the selection away again; what follows it is the person's own.
let entered = null;
document.addEventListener("focusin", (event) => {
  entered = event.target.matches?.("form[data-volume] input[name=volume_ml]") ? event.target : null;
  entered?.select();
});
document.addEventListener("click", (event) => {
  if (event.target === entered) entered.select();
  entered = null;
});

// A volume shows what the server has, unless somebody is typing in it just now.
const settleVolumes = () => {
  for (const input of document.querySelectorAll("#plan-panes input[name=volume_ml]")) {
    if (input !== document.activeElement) input.value = input.defaultValue;
  }
};

// A native popover asks for the signature; after a refused password the server marks it to be opened again.
const openMarked = () => {
  for (const dialog of document.querySelectorAll("[popover][data-open]")) {
    delete dialog.dataset.open;
    dialog.showPopover?.();
  }
};
openMarked();
document.addEventListener("htmx:after:swap", () => {
  settleVolumes();
  openMarked();
});

// Opened for signing, the password is where typing starts.
document.addEventListener("toggle", (event) => {
  if (event.newState === "open") event.target.querySelector?.("input[type=password]")?.focus();
}, true);

// Once a minute, while somebody looks at the page: who else has this draft open, and was it changed elsewhere.
setInterval(() => {
  const box = document.querySelector("[data-presence]");
  if (box && document.visibilityState === "visible") box.dispatchEvent(new CustomEvent("presence-due"));
}, 60_000);
