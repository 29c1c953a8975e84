// A map with [data-zone-map] and the checkboxes [data-zone-input="<zone>"] beside it (same form or [data-zones] box)
// are one choice: pressing a zone ticks its box, and the other way round. The boxes alone do without script.
const scope = (element) => element.closest("[data-zones], form") ?? document;
const boxes = (root) => root.querySelectorAll("[data-zone-input]");

const paint = (root) => {
  for (const box of boxes(root)) {
    for (const zone of root.querySelectorAll(`[data-zone-map] .zone[data-zone="${box.dataset.zoneInput}"]`)) {
      zone.classList.toggle("is-selected", box.checked);
      zone.setAttribute("aria-checked", String(box.checked));
    }
    for (const label of root.querySelectorAll(`[data-zone-map] .zone-labels [data-zone="${box.dataset.zoneInput}"]`)) {
      label.classList.toggle("is-selected", box.checked);
      label.classList.toggle("is-idle", !box.checked);
    }
    if (!box.checked) {
      const dots = root.querySelector(`[data-zone-map] .zone-points[data-zone="${box.dataset.zoneInput}"]`);
      dots?.remove();
    }
  }
};

const press = (zone) => {
  const root = scope(zone);
  const box = root.querySelector(`[data-zone-input="${zone.dataset.zone}"]`);
  if (!box || box.disabled) return;
  box.checked = !box.checked;
  box.dispatchEvent(new Event("input", { bubbles: true }));
  box.dispatchEvent(new Event("change", { bubbles: true }));
};

document.addEventListener("click", (event) => {
  const zone = event.target.closest?.("[data-zone-map] .zone");
  if (zone) press(zone);
});
document.addEventListener("keydown", (event) => {
  const zone = event.target.closest?.("[data-zone-map] .zone");
  if (zone && (event.key === " " || event.key === "Enter")) {
    event.preventDefault();
    press(zone);
  }
});
document.addEventListener("change", (event) => {
  if (event.target.matches?.("[data-zone-input]")) paint(scope(event.target));
});
for (const map of document.querySelectorAll("[data-zone-map]")) paint(scope(map));
