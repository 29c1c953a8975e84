// The field that finds a medicine adds what was chosen as a line of the list: on Enter, or when one goes on.
// <input data-medicine-more="id of the list">
const add = (field) => {
  const list = document.getElementById(field.dataset.medicineMore);
  const line = field.value.trim();
  if (!list || !line) return;
  list.value = [...list.value.split("\n").filter((text) => text.trim()), line].join("\n");
  field.value = "";
  list.dispatchEvent(new Event("input", { bubbles: true }));
};

document.addEventListener("change", (event) => event.target.matches?.("[data-medicine-more]") && add(event.target));
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.isComposing || !event.target.matches?.("[data-medicine-more]")) return;
  event.preventDefault(); // would send the form
  add(event.target);
});
