// What was just done floats over the foot of the page and leaves: soon, or later where it can be undone. It waits while
// one points at it, is in it with the keyboard or looks at another window; "Keep" lets it stand, "Close" takes it away.
// Without this it stands at the top of the page.
const SOON = 8_000;
const LATER = 60_000; // milliseconds with Undo
const TICK = 250;

let place;
const clocks = new Map(); // toast -> milliseconds left

const leave = (toast) => {
  clocks.delete(toast);
  toast.classList.add("is-leaving");
  const gone = () => toast.remove();
  toast.addEventListener("transitionend", gone, { once: true });
  setTimeout(gone, 400); // where nothing moves, no transition ends
};

const isBusy = (toast) => document.hidden || toast.matches(":hover, :focus-within");

const tick = () => {
  for (const [toast, left] of clocks) {
    if (!toast.isConnected) clocks.delete(toast);
    else if (isBusy(toast)) continue;
    else if (left <= TICK) leave(toast);
    else clocks.set(toast, left - TICK);
  }
};

const float = () => {
  for (const toast of document.querySelectorAll("[data-toast]:not(.is-floating)")) {
    if (!place) {
      place = Object.assign(document.createElement("div"), { className: "toasts-float" });
      document.body.append(place);
      setInterval(tick, TICK);
    }
    for (const button of toast.querySelectorAll("[data-toast-close], [data-toast-keep]")) button.hidden = false;
    toast.classList.add("is-floating");
    place.append(toast); // into a live region that is there already, so that it is read out
    clocks.set(toast, toast.querySelector("form") ? LATER : SOON);
  }
};
float();
document.addEventListener("htmx:after:swap", float);
document.addEventListener("click", (event) => {
  const toast = event.target.closest("[data-toast]");
  if (event.target.closest("[data-toast-close]")) leave(toast);
  if (event.target.closest("[data-toast-keep]")) {
    clocks.delete(toast);
    event.target.closest("[data-toast-keep]").hidden = true;
    toast.querySelector("[data-toast-close]").focus();
  }
});
