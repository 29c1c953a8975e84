// Signed out meanwhile, or no server: what was typed stays on the page, and the page says how to go on.
const note = document.getElementById("away");
const LOGIN = "/accounts/login/";
let isOut = false;

const show = (kind) => {
  if (!note) return;
  for (const part of note.querySelectorAll("[data-away]")) part.hidden = part.dataset.away !== kind;
  note.hidden = !kind;
};

document.addEventListener("htmx:before:response", (event) => {
  const answer = event.detail?.ctx?.response?.raw;
  if (answer?.headers.get("X-Old-Token")) {
    event.preventDefault(); // signed in anew elsewhere, or signed out
    isOut = true;
    show("out");
    renew();
    return;
  }
  if (!answer?.redirected || !new URL(answer.url).pathname.startsWith(LOGIN)) {
    if (note && !note.hidden) show("");
    return;
  }
  event.preventDefault(); // the log-in page is no part of this one
  isOut = true;
  show("out");
});

document.addEventListener("htmx:error", (event) => {
  if (event.detail?.error instanceof TypeError && event.detail.ctx) show("down"); // what fetch throws without a network
});

// A form that was about to leave its page found the same (keep.js).
document.addEventListener("away", (event) => {
  isOut = ["out", "other"].includes(event.detail);
  show(event.detail === "here" ? "" : event.detail);
  if (event.detail !== "here") note?.scrollIntoView({ block: "nearest" });
});

// Back from signing in elsewhere: the page's own token is an old one by now.
async function renew() {
  if (!isOut || !note || document.visibilityState !== "visible") return;
  const answer = await fetch(note.dataset.here, { cache: "no-store" }).catch(() => null);
  if (!answer?.ok) return;
  const { who, token: fresh } = await answer.json();
  if (who !== document.body.dataset.who) {
    if (who) show("other");
    return;
  }
  document.querySelector('meta[name="csrf-token"]')?.setAttribute("content", fresh);
  for (const input of document.querySelectorAll('input[name="csrfmiddlewaretoken"]')) input.value = fresh;
  isOut = false;
  show("back");
}
document.addEventListener("visibilitychange", renew);
addEventListener("focus", renew);
