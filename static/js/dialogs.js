// <button data-dialog="id"> opens <dialog id="id">; [data-dialog-close] inside closes it. Without script the dialog's
// content is reached by the link or the form that stands in the button's place.
const opener = new WeakMap();

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-dialog]");
  if (button) {
    const dialog = document.getElementById(button.dataset.dialog);
    if (dialog instanceof HTMLDialogElement && !dialog.open) {
      event.preventDefault();
      opener.set(dialog, button);
      dialog.showModal();
    }
    return;
  }
  if (event.target.closest("[data-dialog-close]")) {
    event.preventDefault();
    event.target.closest("dialog")?.close();
  }
});
document.addEventListener("close", (event) => opener.get(event.target)?.focus(), true);

// A dialog that the server rendered with an error inside opens at once, where its field is.
for (const dialog of document.querySelectorAll("dialog[data-open]")) dialog.showModal();
