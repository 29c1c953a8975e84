// "This field is required" is over as soon as the field is filled; it comes back where it is emptied again. What else
// may be wrong only the server knows: that stands until the form is sent.
const isFilled = (field) =>
  [...field.querySelectorAll("input:not([type=hidden]), select, textarea")].some((control) =>
    control.type === "checkbox" || control.type === "radio" ? control.checked : control.value.trim() !== "",
  );

const look = (event) => {
  const field = event.target.closest?.(".mc-field");
  const errors = field ? [...field.querySelectorAll("[data-until-filled]")] : [];
  if (!errors.length) return;
  const filled = isFilled(field);
  for (const error of errors) error.hidden = filled;
  for (const control of field.querySelectorAll("[aria-invalid]")) control.setAttribute("aria-invalid", String(!filled));
  const note = field.closest("form")?.querySelector(".mc-form-errors");
  if (!note) return;
  const ids = [field.id, ...[...field.querySelectorAll("[id]")].map((element) => element.id)].filter(Boolean);
  const own = ids.map((id) => `a[href="#${CSS.escape(id)}"]`).join(",");
  for (const line of note.querySelectorAll("li")) if (own && line.querySelector(own)) line.hidden = filled;
  note.hidden = !note.querySelector("b, li:not([hidden])");
};
document.addEventListener("input", look);
document.addEventListener("change", look);
