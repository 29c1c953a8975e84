// Single keys, for whoever likes them: "?" shows the sheet, "g" and a letter go to a page, "b" to the bar at the foot.
// They do nothing while one writes, and the sheet switches them off for this computer.
const OFF = "mc-keys-off";
const WRITING = "input:not([type=checkbox]):not([type=radio]):not([type=button]):not([type=submit]), textarea, select, [contenteditable]";
const sheet = document.getElementById("shortcuts");

const isOff = () => {
  try {
    return localStorage.getItem(OFF) === "yes";
  } catch {
    return false; // no storage: they work
  }
};
const show = () => {
  document.documentElement.toggleAttribute("data-keys-off", isOff());
  for (const box of document.querySelectorAll("[data-single-keys]")) box.checked = !isOff();
};
show();

document.addEventListener("change", (event) => {
  if (!event.target.matches?.("[data-single-keys]")) return;
  try {
    if (event.target.checked) localStorage.removeItem(OFF);
    else localStorage.setItem(OFF, "yes");
  } catch {
    // no storage: the choice lasts as long as the page
  }
  show();
});

let going = 0;
document.addEventListener("keydown", (event) => {
  if (!sheet || isOff() || event.defaultPrevented || event.repeat) return;
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.(WRITING)) return;
  const since = Date.now() - going;
  going = 0;
  if (event.key === "?") {
    event.preventDefault();
    if (!sheet.open && !document.querySelector("dialog[open]")) sheet.showModal();
    else if (sheet.open) sheet.close();
  } else if (since < 1_500) {
    const link = sheet.querySelector(`a[data-go="${CSS.escape(event.key.toLowerCase())}"]`);
    if (!link) return;
    event.preventDefault();
    location.assign(link.href);
  } else if (document.querySelector("dialog[open]")) {
    return;
  } else if (event.key === "g") {
    going = Date.now();
  } else if (event.key === "b") {
    const last = [...document.querySelectorAll(".mc-bar a[href], .mc-bar button:not([disabled])")].pop();
    if (!last) return;
    event.preventDefault();
    last.focus();
  }
});
