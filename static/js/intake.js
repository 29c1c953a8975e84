// The intake form, on top of what works without script: one step at a time, answers that exclude each other, counts, the
// treated area, usual patterns, and saving while somebody types. <form data-intake>; its data-words-… hold the sentences.
const form = document.querySelector("form[data-intake]");
const state = document.querySelector("[data-intake-state]");
const PAUSE = 1500; // ms without typing before the draft is saved

// ------------------------------------------------------------------ answers that exclude each other

// A long list in parts: “no to everything”, “no to all of these” and what is ticked rule each other out.
const excludeInParts = (question, input) => {
  const whole = [...question.querySelectorAll("[data-alone]")];
  const boxes = [...question.querySelectorAll("[data-part] input[type=checkbox]")];
  const clear = (inputs) => inputs.forEach((other) => other !== input && (other.checked = false));
  if (!input.checked) {
    if (whole.includes(input)) clear(boxes.filter((box) => box.hasAttribute("data-part-answer")));
    else clear(whole);
    return;
  }
  if (whole.includes(input)) {
    clear(whole);
    clear(boxes);
    if (input.value === "(none)") {
      for (const box of boxes) if (box.value === "none" && box.hasAttribute("data-part-answer")) box.checked = true;
    }
    return;
  }
  clear(whole);
  const part = input.closest("[data-part]");
  const mine = boxes.filter((box) => part.contains(box));
  if (input.hasAttribute("data-part-answer")) clear(mine);
  else if (input.type === "checkbox") clear(mine.filter((box) => box.hasAttribute("data-part-answer")));
};

const excludeOthers = (input) => {
  const question = input.closest("[data-question]");
  if (!question) return;
  if (question.dataset.kind === "list" && input.checked) {
    const alone = input.hasAttribute("data-alone");
    for (const other of question.querySelectorAll("input[type=checkbox]")) {
      if (other !== input && (alone || other.hasAttribute("data-alone"))) other.checked = false;
    }
  }
  if (question.dataset.kind === "parts") excludeInParts(question, input);
  if (question.dataset.kind === "number") {
    const number = question.querySelector(".in-n");
    const never = question.querySelector("[data-never]");
    if (!never) return;
    if (input === never && never.checked) number.value = "";
    if (input === number && number.value.trim()) never.checked = false;
  }
};

// ------------------------------------------------------------------ counts and the treated area

const isAnswered = (question) => {
  if (question.dataset.kind !== "parts") return isAnsweredAtOnce(question);
  if (question.querySelector("[data-alone][value='(none)']:checked")) return true;
  return [...question.querySelectorAll("[data-part]")].every((part) => part.querySelector("input:checked"));
};

const isAnsweredAtOnce = (question) =>
  [...question.querySelectorAll("input")].some((input) =>
    ["checkbox", "radio"].includes(input.type) ? input.checked && !["", "(unknown)"].includes(input.value) : input.value.trim(),
  );

const count = () => {
  for (const counter of document.querySelectorAll("[data-count]")) {
    const step = document.getElementById(counter.dataset.count);
    const asked = [...step.querySelectorAll("[data-question]")].filter((q) => !q.closest("#s-labs, #s-concerns"));
    const answered = asked.filter(isAnswered).length;
    counter.textContent = `${answered} / ${asked.length}`;
    counter.closest("[data-step-item]").classList.toggle("st-done", answered === asked.length);
  }
  let area = 0;
  for (const box of form.querySelectorAll("[data-zone-input]")) {
    const row = box.closest("[data-zone-row]");
    row.classList.toggle("zr-on", box.checked);
    row.classList.toggle("zr-off", !box.checked);
    const typed = Number(row.querySelector("[data-zone-area]").value.trim().replace(",", "."));
    if (box.checked && Number.isFinite(typed)) area += typed;
  }
  const sum = form.querySelector("[data-total-area]");
  sum.hidden = false;
  const shown = (Math.round(area * 100) / 100).toLocaleString(document.documentElement.lang, { useGrouping: false });
  sum.querySelector("b").textContent = `${shown}\u00a0cm²`;
};

const choosePattern = (keys) => {
  const wanted = new Set(keys.split(" "));
  for (const box of form.querySelectorAll("[data-zone-input]")) {
    if (box.checked === wanted.has(box.dataset.zoneInput)) continue;
    box.checked = !box.checked;
    box.dispatchEvent(new Event("change", { bubbles: true }));
  }
};

// ------------------------------------------------------------------ one step at a time

const showStep = (key, { move }) => {
  const step = form.querySelector(`[data-step="${CSS.escape(key ?? "")}"]`);
  if (!step) return;
  for (const other of form.querySelectorAll("[data-step]")) other.classList.toggle("is-now", other === step);
  for (const item of document.querySelectorAll("[data-step-item]")) {
    const now = item.dataset.stepItem === key;
    item.classList.toggle("st-now", now);
    const link = item.querySelector("a");
    if (now) link.setAttribute("aria-current", "step");
    else link.removeAttribute("aria-current");
  }
  form.elements.step.value = key;
  if (!move) return;
  const url = new URL(location.href);
  url.searchParams.set("step", key);
  url.hash = "";
  history.pushState(null, "", url);
  scrollTo({ top: 0 });
  step.querySelector("h2").focus({ preventScroll: true });
};

// The zones that are usual for the stage that was chosen stand out, one press away.
const suggest = () => {
  const place = form.querySelector("[data-suggest]");
  const chosen = new Set(
    [...form.querySelectorAll("input[type=radio]:checked")].map((input) => `${input.name}=${input.value}`),
  );
  const fitting = [];
  for (const button of form.querySelectorAll("[data-pattern]")) {
    const fits = button.dataset.stages.split(" ").some((stage) => chosen.has(stage));
    button.classList.toggle("btn-soft", fits);
    if (fits) fitting.push(button.textContent.trim());
  }
  place.hidden = fitting.length === 0;
  const said = fitting.length ? `${place.dataset.words} ${fitting.join(", ")}` : "";
  if (place.textContent !== said) place.textContent = said;
};

// ------------------------------------------------------------------ saving while somebody types

const RETRY = 8_000; // no server, or signed out: try again by itself

let timer = 0;
let saving = false;
let again = false;
let unsaved = false;
let out = false; // signed out meanwhile: the page's token is no longer good
let away = false; // no server
let going = false; // what was typed is kept, the form may be sent
let stopped = false; // somebody else saved: only the person decides what happens next

const say = (text) => {
  state.textContent = text;
};

const show = (errors) => {
  for (const place of form.querySelectorAll(".mc-err[id^='e-']")) {
    const sentences = errors[place.id.slice(2)] ?? [];
    place.hidden = sentences.length === 0;
    place.querySelector("span").textContent = sentences.join(" ");
    place.closest(".hq, tr")?.classList.toggle("in-bad", sentences.length > 0);
  }
};

// What the list of medicines sets is ticked, so that the page says what is stored.
const tick = (values) => {
  for (const [name, ticked] of Object.entries(values)) {
    for (const value of ticked) {
      const box = form.querySelector(`input[name="${name}"][value="${CSS.escape(value)}"]`);
      if (!box || box.checked) continue;
      box.checked = true;
      excludeOthers(box);
    }
  }
  count();
};

const post = () =>
  fetch(form.action, { method: "POST", body: new FormData(form), headers: { "X-Autosave": "1" }, redirect: "manual" });

// Signing in again changes the token: take the fresh one from the same page, once.
const renewToken = async () => {
  const answer = await fetch(form.action, { redirect: "manual" });
  if (!answer.ok) return false;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("form[data-intake] input[name=csrfmiddlewaretoken]");
  if (!fresh || page.body.dataset.who !== document.body.dataset.who) return false; // nor under somebody else's name
  form.elements.csrfmiddlewaretoken.value = fresh.value;
  return true;
};

const save = async () => {
  if (stopped || !form.isConnected) return;
  clearTimeout(timer);
  if (saving) {
    again = true;
    return;
  }
  saving = true;
  say(form.dataset.wordsSaving);
  try {
    let answer = await post();
    if (answer.status === 403 && (await renewToken())) answer = await post();
    away = false;
    const json = (answer.headers.get("Content-Type") ?? "").startsWith("application/json");
    out = !json;
    if (out) {
      say(form.dataset.wordsOut);
      timer = setTimeout(save, RETRY);
    } else {
      const told = await answer.json();
      show(told.errors ?? {});
      if (answer.ok) {
        form.elements.revision.value = told.revision;
        form.elements.seen.value = told.seen;
        if (!again) unsaved = false;
        tick(told.ticked ?? {});
        say(Object.keys(told.errors ?? {}).length ? form.dataset.wordsWrong : told.saved);
        if (!again) form.dispatchEvent(new CustomEvent("saved", { bubbles: true }));
      } else if (answer.status === 409) {
        stopped = true;
        say(form.dataset.wordsStale);
      } else {
        say(form.dataset.wordsWrong);
      }
    }
  } catch {
    away = true;
    say(form.dataset.wordsFailed);
    timer = setTimeout(save, RETRY);
  }
  saving = false;
  if (again) {
    again = false;
    save();
  }
};

// True once the server has what was typed, or has refused it for a reason that its page shows.
const arrived = async () => {
  // Once at least: a form that is just being sent does not let itself be sent again.
  do await new Promise((resolve) => setTimeout(resolve, 50));
  while (saving);
  await save();
  return !out && !away;
};

const changed = () => {
  unsaved = true;
  count();
  if (!stopped) say(form.dataset.wordsUnsaved);
  clearTimeout(timer);
  timer = setTimeout(save, PAUSE);
};

// ------------------------------------------------------------------ attach

if (form && state) {
  form.addEventListener("input", (event) => {
    excludeOthers(event.target);
    changed();
  });
  form.addEventListener("change", () => {
    count();
    suggest();
  });
  form.addEventListener("click", (event) => {
    const button = event.target.closest("[data-pattern]");
    if (!button) return;
    event.preventDefault();
    choosePattern(button.dataset.pattern);
    changed();
  });
  // A page that is left takes what was typed with it: first it arrives, and only then one goes on.
  form.addEventListener("submit", (event) => {
    clearTimeout(timer);
    if (going || !(unsaved || saving || out)) return;
    event.preventDefault();
    const button = event.submitter;
    arrived().then((there) => {
      if (!there) return;
      going = true; // also where an answer was refused: the page that comes back says which
      form.requestSubmit(button);
    });
  });
  addEventListener("pageshow", () => (going = false));
  document.addEventListener("click", (event) => {
    const to = event.target.closest("[data-to]");
    if (!to || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    showStep(to.dataset.to, { move: true });
    if (unsaved) save();
  });
  // The last step is another page: go there as its button does, with what was typed.
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-review]") || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    form.requestSubmit(document.querySelector('button[form="intake"][value="review"]'));
  });
  addEventListener("popstate", () => showStep(new URLSearchParams(location.search).get("step"), { move: false }));
  showStep(form.elements.step.value, { move: false });
  suggest();
  count();
}
