// The list under the search box: arrows choose, Enter opens, Escape closes. Without script the box is a plain form.
const box = document.querySelector("[data-find]");
const list = () => document.querySelector("[data-found]");
const options = () => [...(list()?.querySelectorAll("[role=option]") ?? [])];

const open = (isOpen) => {
  list()?.classList.toggle("is-open", isOpen);
  box.setAttribute("aria-expanded", String(isOpen && options().length > 0));
  if (!isOpen) choose(null);
};

const choose = (option) => {
  for (const other of options()) other.setAttribute("aria-selected", String(other === option));
  if (option) {
    box.setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({ block: "nearest" });
  } else {
    box.removeAttribute("aria-activedescendant");
  }
};

if (box) {
  box.addEventListener("keydown", (event) => {
    const all = options();
    const at = all.findIndex((option) => option.getAttribute("aria-selected") === "true");
    if ((event.key === "ArrowDown" || event.key === "ArrowUp") && all.length) {
      event.preventDefault();
      open(true);
      const step = event.key === "ArrowDown" ? 1 : -1;
      choose(all[at < 0 && step < 0 ? all.length - 1 : (at + step + all.length) % all.length]);
    } else if (event.key === "Enter" && at >= 0) {
      event.preventDefault();
      location.assign(all[at].dataset.href);
    } else if (event.key === "Escape" && list()?.classList.contains("is-open")) {
      event.preventDefault();
      open(false);
    }
  });
  box.addEventListener("focus", () => open(box.value.trim() !== ""));
  document.addEventListener("click", (event) => {
    const option = event.target.closest("[data-found] [role=option]");
    if (option) location.assign(option.dataset.href);
    if (!event.target.closest(".mc-search")) open(false);
  });
  document.addEventListener("focusin", (event) => {
    if (!event.target.closest(".mc-search")) open(false);
  });
  document.addEventListener("htmx:after:swap", () => {
    if (document.activeElement === box) open(box.value.trim() !== "");
  });
}
