// After a refused form, begin at what is wrong.
const begin = () => document.querySelector("[data-focus-first]")?.focus({ preventScroll: false });
begin();
document.addEventListener("htmx:after:swap", (event) => {
  if (event.target.querySelector?.("[data-focus-first]")) begin();
});
