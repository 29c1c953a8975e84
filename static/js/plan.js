// The plan page. A native popover asks for the signature; after a refused password the server marks it to be opened again.
const openMarked = () => {
  for (const dialog of document.querySelectorAll("[popover][data-open]")) {
    delete dialog.dataset.open;
    dialog.showPopover?.();
  }
};
openMarked();
document.addEventListener("htmx:after:swap", openMarked);

// Opened for signing, the password is where typing starts.
document.addEventListener("toggle", (event) => {
  if (event.newState === "open") event.target.querySelector?.("input[type=password]")?.focus();
}, true);
