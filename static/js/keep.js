// Nothing typed is lost. What differs in a form from what its page showed stays in this tab (sessionStorage, by person,
// page and form) until the server has it: signed out, the server gone, the page left or reloaded, it is offered again.
// The server says what arrived by the cookie “kept” (mesoclinic/ui/middleware.py). Signing out forgets all of it, and so
// does somebody else's sign-in. Passwords and files are never kept; <form data-keep="no"> is not, nor is the log-in.
const PREFIX = "kept:";
const LONGEST = 12 * 60 * 60 * 1000; // ms; a working day
const WHO = document.body.dataset.who ?? "";
const away = document.getElementById("away");
const offer = document.getElementById("kept-offer");
const COMING = { hidden: 1, password: 1, file: 1, submit: 1, button: 1, reset: 1, image: 1 };
const CARRIED = /(?:^|-)(?:seen|revision)$/; // what the page showed, so that others' changes are not overwritten

const fieldsOf = (form) =>
  [...form.elements].filter((field) => field.name && !COMING[field.type] && field.type !== "fieldset");

const isKept = (form) =>
  form.method === "post" &&
  form.dataset.keep !== "no" &&
  !location.pathname.startsWith("/accounts/") &&
  !form.closest("header") &&
  fieldsOf(form).length > 0;

const groupsOf = (form) => {
  const groups = new Map();
  for (const field of fieldsOf(form)) groups.set(field.name, [...(groups.get(field.name) ?? []), field]);
  return groups;
};

const isChoice = (field) => field.type === "checkbox" || field.type === "radio";

const valuesOf = (fields, { before }) =>
  fields.flatMap((field) => {
    if (isChoice(field)) return (before ? field.defaultChecked : field.checked) ? [field.value] : [];
    if (field.tagName !== "SELECT") return [before ? field.defaultValue : field.value];
    const options = [...field.options];
    const chosen = options.filter((option) => (before ? option.defaultSelected : option.selected));
    if (!chosen.length && before && !field.multiple && options.length) chosen.push(options[0]);
    return chosen.map((option) => option.value);
  });

const isSame = (one, other) => one.length === other.length && one.every((value, at) => value === other[at]);

const isChanged = (form) =>
  [...groupsOf(form).values()].some(
    (fields) => !isSame(valuesOf(fields, { before: true }), valuesOf(fields, { before: false })),
  );

// A page may hold several forms that post to it: they differ by their hidden fields and by what they ask.
const keyOf = (form) => {
  const hidden = [...form.elements].filter(
    (field) => field.type === "hidden" && !/^(?:csrfmiddlewaretoken|kept|key|step)$/.test(field.name) && !CARRIED.test(field.name),
  );
  const said = hidden.map((field) => `${field.name}=${field.value}`);
  const asked = [...groupsOf(form).keys()].filter((name) => !name.includes("keep-"));
  let hash = 0;
  for (const letter of [...said, ...asked].join("&")) hash = (hash * 31 + letter.codePointAt(0)) | 0;
  return `${PREFIX}${WHO}:${new URL(form.action, location.href).pathname}:${hash}`;
};

// ------------------------------------------------------------------ the store of this tab

const read = (key) => {
  try {
    return JSON.parse(sessionStorage.getItem(key));
  } catch {
    return null;
  }
};
const write = (key, entry) => {
  try {
    sessionStorage.setItem(key, JSON.stringify(entry));
  } catch {
    // no room, or none allowed: the page still holds it
  }
};
const keys = () => {
  try {
    return Object.keys(sessionStorage).filter((key) => key.startsWith(PREFIX));
  } catch {
    return [];
  }
};
const tabs = new BroadcastChannel("kept"); // each tab has a store of its own; signing out is for all of them
tabs.addEventListener("message", () => forget(() => true));
const forget = (isOld) => keys().forEach((key) => isOld(key, read(key)) && sessionStorage.removeItem(key));

const refused = new WeakSet(); // came back with something to put right: unsaved although it differs from nothing
const settled = new WeakSet(); // sent, or saved by itself

const keep = (form) => {
  const key = keyOf(form);
  const before = read(key);
  const fields = { ...before?.fields };
  for (const [name, inputs] of groupsOf(form)) {
    const now = valuesOf(inputs, { before: false });
    if (name in fields || !isSame(now, valuesOf(inputs, { before: true }))) fields[name] = now;
  }
  if (!Object.keys(fields).length) return null;
  const carried = {};
  for (const field of form.elements) if (field.type === "hidden" && CARRIED.test(field.name)) carried[field.name] = field.value;
  const entry = { at: Date.now(), nonce: before?.nonce ?? newName(), fields, carried: before?.carried ?? carried };
  write(key, entry);
  return entry;
};

const newName = () => [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

const drop = (form) => {
  settled.add(form);
  refused.delete(form);
  forget((key) => key === keyOf(form));
};

// ------------------------------------------------------------------ putting it back

const putBack = (form, entry) => {
  for (const [name, fields] of groupsOf(form)) {
    const values = entry.fields[name];
    if (!values) continue;
    fields.forEach((field, at) => {
      if (isChoice(field)) field.checked = values.includes(field.value);
      else if (field.multiple) for (const option of field.options) option.selected = values.includes(option.value);
      else if (values[at] !== undefined) field.value = values[at];
    });
  }
  for (const [name, value] of Object.entries(entry.carried ?? {})) {
    const field = form.elements.namedItem(name);
    if (field instanceof HTMLInputElement) field.value = value;
  }
  form.dispatchEvent(new Event("input", { bubbles: true }));
  form.dispatchEvent(new Event("change", { bubbles: true }));
};

const differs = (form, entry) =>
  [...groupsOf(form)].some(
    ([name, fields]) => entry.fields[name] && !isSame(entry.fields[name], valuesOf(fields, { before: false })),
  );

const look = (form) => {
  const entry = read(keyOf(form));
  if (form.querySelector('[aria-invalid="true"], .mc-form-errors, [data-focus-first]')) {
    refused.add(form);
    return;
  }
  if (!entry) return;
  if (!differs(form, entry)) {
    drop(form);
    settled.delete(form);
  } else if (!offer || form.dataset.keep === "again") putBack(form, entry);
  else {
    const shown = offer.content.firstElementChild.cloneNode(true);
    shown.querySelector("time").textContent = new Date(entry.at).toLocaleTimeString(document.documentElement.lang, {
      hour: "2-digit",
      minute: "2-digit",
    });
    shown.querySelector("[data-put-back]").addEventListener("click", () => {
      shown.remove();
      putBack(form, entry);
      fieldsOf(form).find((field) => entry.fields[field.name])?.focus();
    });
    shown.querySelector("[data-drop]").addEventListener("click", () => {
      shown.remove();
      drop(form);
      settled.delete(form);
    });
    form.prepend(shown);
  }
};

// ------------------------------------------------------------------ sending it

// Is the server there, and is it still the same person? Asked before a form leaves its page, so that it can stay on it.
const askWhoIsHere = async () => {
  try {
    const answer = await fetch(away.dataset.here, { cache: "no-store", signal: AbortSignal.timeout(8000) });
    if (!answer.ok) return "down";
    const { who, token } = await answer.json();
    if (who !== WHO) return who ? "other" : "out";
    document.querySelector('meta[name="csrf-token"]')?.setAttribute("content", token);
    for (const input of document.querySelectorAll('input[name="csrfmiddlewaretoken"]')) input.value = token;
    return "here";
  } catch {
    return "down";
  }
};

const nameIt = (form, entry) => {
  if (!entry) return;
  let field = form.querySelector('input[name="kept"]');
  if (!field) {
    field = Object.assign(document.createElement("input"), { type: "hidden", name: "kept" });
    form.append(field);
  }
  field.value = entry.nonce;
};

let going = null;
const asking = new WeakSet();

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (new URL(form.action, location.href).pathname === "/accounts/logout/") {
    forget(() => true);
    tabs.postMessage("out");
    return;
  }
  if (event.defaultPrevented || !isKept(form)) return;
  nameIt(form, keep(form));
  if (!away || going === form) {
    settled.add(form);
    return;
  }
  event.preventDefault();
  if (asking.has(form)) return;
  asking.add(form);
  const button = event.submitter;
  askWhoIsHere().then((state) => {
    asking.delete(form);
    document.dispatchEvent(new CustomEvent("away", { detail: state }));
    if (state !== "here" || !form.isConnected) return;
    going = form;
    form.requestSubmit(button?.isConnected ? button : undefined);
    going = null;
  });
});

document.addEventListener("input", (event) => {
  const form = event.target.form ?? event.target.closest?.("form");
  if (!form || !isKept(form)) return;
  settled.delete(form);
  keep(form);
});
document.addEventListener("change", (event) => {
  const form = event.target.form;
  if (form && isKept(form) && !settled.has(form)) keep(form);
});

// Saved in the background: the form says so by an event of ours, or htmx by its answer.
document.addEventListener("saved", (event) => drop(event.target));
document.addEventListener("htmx:after:request", (event) => {
  const { sourceElement, response } = event.detail?.ctx ?? {};
  const form = sourceElement?.matches?.("form") ? sourceElement : null;
  if (form && response?.raw?.ok && !response.raw.redirected) drop(form);
});

addEventListener("beforeunload", (event) => {
  const isUnsaved = (form) => !settled.has(form) && (refused.has(form) || isChanged(form));
  if ([...document.forms].some((form) => isKept(form) && isUnsaved(form))) event.preventDefault();
});

// ------------------------------------------------------------------ begin

const arrived = document.cookie.match(/(?:^|; )kept=(\w+)/)?.[1];
if (arrived) {
  document.cookie = "kept=; path=/; max-age=0; samesite=lax";
  forget((_key, entry) => entry?.nonce === arrived);
}
forget((key, entry) => !entry || Date.now() - entry.at > LONGEST || (WHO && !key.startsWith(`${PREFIX}${WHO}:`)));
for (const form of document.forms) if (isKept(form)) look(form);
addEventListener("pageshow", () => (going = null));
