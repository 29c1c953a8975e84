// A message can be closed. It never closes by itself: some people read slowly, and Undo must stay in reach.
const show = (root) => {
  for (const button of root.querySelectorAll("[data-toast-close]")) button.hidden = false;
};
show(document);
document.addEventListener("htmx:after:swap", () => show(document));
document.addEventListener("click", (event) => {
  event.target.closest("[data-toast-close]")?.closest("[data-toast]")?.remove();
});
