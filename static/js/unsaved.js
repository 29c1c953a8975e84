// <form data-guard>: leaving the page with typed input that was not sent asks first.
const dirty = new Set();

document.addEventListener("input", (event) => {
  const form = event.target.closest("form[data-guard]");
  if (form) dirty.add(form);
});
document.addEventListener("submit", (event) => dirty.delete(event.target));
// Saved in the background: the form says so by an event of ours or by a swap of itself.
document.addEventListener("saved", (event) => dirty.delete(event.target.closest("form[data-guard]")));
document.addEventListener("htmx:after:swap", () => {
  for (const form of dirty) if (!form.isConnected) dirty.delete(form);
});
window.addEventListener("beforeunload", (event) => {
  if ([...dirty].some((form) => form.isConnected)) event.preventDefault();
});
