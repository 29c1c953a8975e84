// "What if": a further empty line as soon as the last one is used, so that several answers can be changed at once.
// Without this module there are a few empty lines to begin with, and more with each answer that is looked at.

document.addEventListener("input", (event) => {
  const lines = event.target.closest?.("[data-answers]");
  if (!lines) return;
  const fields = [...lines.querySelectorAll("input[name=answer]")];
  if (fields.length >= 20 || fields.some((field) => !field.value.trim())) return;
  const last = lines.lastElementChild.cloneNode(true);
  const number = fields.length + 1;
  const field = last.querySelector("input");
  const label = last.querySelector("label");
  last.querySelector(".mc-err")?.remove();
  label.textContent = label.textContent.replace(/\d+/, String(number));
  label.htmlFor = field.id = `wi-answer-${number}`;
  field.value = "";
  field.removeAttribute("aria-invalid");
  field.setAttribute("aria-describedby", "wi-how");
  lines.append(last);
});
