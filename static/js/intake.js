// The intake form, on top of what works without script: answers that exclude each other, counts per section, the treated
// area, usual patterns, and saving while somebody types. <form data-intake>; its data-words-… hold the sentences.
const form = document.querySelector("form[data-intake]");
const state = document.querySelector("[data-intake-state]");
const PAUSE = 1500; // ms without typing before the draft is saved

// ------------------------------------------------------------------ answers that exclude each other

const excludeOthers = (input) => {
  const question = input.closest("[data-question]");
  if (!question) return;
  if (question.dataset.kind === "list" && input.checked) {
    const alone = input.hasAttribute("data-alone");
    for (const other of question.querySelectorAll("input[type=checkbox]")) {
      if (other !== input && (alone || other.hasAttribute("data-alone"))) other.checked = false;
    }
  }
  if (question.dataset.kind === "number") {
    const number = question.querySelector(".in-n");
    const never = question.querySelector("[data-never]");
    if (!never) return;
    if (input === never && never.checked) number.value = "";
    if (input === number && number.value.trim()) never.checked = false;
  }
};

// ------------------------------------------------------------------ counts and the treated area

const isAnswered = (question) =>
  [...question.querySelectorAll("input")].some((input) =>
    ["checkbox", "radio"].includes(input.type) ? input.checked && !["", "(unknown)"].includes(input.value) : input.value.trim(),
  );

const count = () => {
  for (const counter of form.querySelectorAll("[data-count]")) {
    const section = document.getElementById(counter.dataset.count);
    const zones = section.querySelectorAll("[data-zone-input]:checked").length;
    const answered = [...section.querySelectorAll("[data-question]")].filter(isAnswered).length;
    const total = counter.dataset.total;
    counter.textContent = total ? `${answered} / ${total}` : String(zones || answered);
    counter.classList.toggle("in-full", Boolean(total) && answered === Number(total));
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
  sum.querySelector("b").textContent = `${Math.round(area * 100) / 100}\u00a0cm²`;
};

const choosePattern = (keys) => {
  const wanted = new Set(keys.split(" "));
  for (const box of form.querySelectorAll("[data-zone-input]")) {
    if (box.checked === wanted.has(box.dataset.zoneInput)) continue;
    box.checked = !box.checked;
    box.dispatchEvent(new Event("change", { bubbles: true }));
  }
};

// ------------------------------------------------------------------ saving while somebody types

let timer = 0;
let saving = false;
let again = false;
let out = false; // signed out meanwhile: the page's token is no longer good
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

const post = () =>
  fetch(form.action, { method: "POST", body: new FormData(form), headers: { "X-Autosave": "1" }, redirect: "manual" });

// Signing in again changes the token: take the fresh one from the same page, once.
const renewToken = async () => {
  const answer = await fetch(form.action, { redirect: "manual" });
  if (!answer.ok) return false;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("form[data-intake] input[name=csrfmiddlewaretoken]");
  if (!fresh) return false;
  form.elements.csrfmiddlewaretoken.value = fresh.value;
  return true;
};

const save = async () => {
  if (stopped) return;
  if (saving) {
    again = true;
    return;
  }
  saving = true;
  say(form.dataset.wordsSaving);
  try {
    let answer = await post();
    if (answer.status === 403 && (await renewToken())) answer = await post();
    const json = (answer.headers.get("Content-Type") ?? "").startsWith("application/json");
    out = !json;
    if (out) {
      say(form.dataset.wordsOut);
    } else {
      const told = await answer.json();
      show(told.errors ?? {});
      if (answer.ok) {
        form.elements.revision.value = told.revision;
        say(told.saved);
        if (!again) form.dispatchEvent(new CustomEvent("saved", { bubbles: true }));
      } else if (answer.status === 409) {
        stopped = true;
        say(form.dataset.wordsStale);
      } else {
        say(form.dataset.wordsWrong);
      }
    }
  } catch {
    say(form.dataset.wordsFailed);
  }
  saving = false;
  if (again) {
    again = false;
    save();
  }
};

const changed = () => {
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
  form.addEventListener("change", count);
  form.addEventListener("click", (event) => {
    const button = event.target.closest("[data-pattern]");
    if (!button) return;
    choosePattern(button.dataset.pattern);
    changed();
  });
  form.addEventListener("submit", (event) => {
    clearTimeout(timer);
    if (out) {
      event.preventDefault();
      const button = event.submitter;
      renewToken().then((renewed) => {
        out = !renewed;
        if (renewed) form.requestSubmit(button);
        else say(form.dataset.wordsOut);
      });
      return;
    }
    if (saving) {
      // The revision on the page is about to change: send after it did.
      event.preventDefault();
      again = false;
      const button = event.submitter;
      const wait = setInterval(() => {
        if (saving) return;
        clearInterval(wait);
        form.requestSubmit(button);
      }, 50);
    }
  });
  form.querySelector("[data-patterns]").hidden = false;

  const links = new Map([...form.querySelectorAll(".in-nav a")].map((link) => [link.hash.slice(1), link]));
  const seen = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        for (const link of links.values()) link.removeAttribute("aria-current");
        links.get(entry.target.id)?.setAttribute("aria-current", "step");
      }
    },
    { rootMargin: "-140px 0px -60% 0px" },
  );
  for (const section of form.querySelectorAll(".in-sec")) seen.observe(section);
  count();
}
