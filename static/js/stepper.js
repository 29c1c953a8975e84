// <span class="mc-stepper"><button data-step="-1">…<input type="number" step="0.05" min max>…<button data-step="1"></span>
// The buttons are type="button" and hidden without script; the field alone does the work then.
// A comma parts decimals as a point does; what is written back has the sign that was there.
const pointed = (text) => String(text).trim().replace(",", ".");
const decimals = (text) => (pointed(text).split(".")[1] ?? "").length;

for (const button of document.querySelectorAll("[data-step]")) button.hidden = false;
document.addEventListener("htmx:after:swap", () => {
  for (const button of document.querySelectorAll("[data-step][hidden]")) button.hidden = false;
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-step]");
  const input = button?.closest(".mc-stepper")?.querySelector("input");
  if (!input) return;
  const step = input.step && input.step !== "any" ? input.step : "1";
  const places = Math.max(decimals(step), decimals(input.min), decimals(input.defaultValue));
  const scale = 10 ** places;
  // Whole numbers of the smallest digit: 0.1 + 0.2 has no place in a dose.
  const whole = (value) => Math.round(Number(pointed(value)) * scale);
  let next = whole(input.value || input.min || 0) + Number(button.dataset.step) * whole(step);
  if (input.min !== "") next = Math.max(next, whole(input.min));
  if (input.max !== "") next = Math.min(next, whole(input.max));
  const sign = `${input.value}${input.defaultValue}`.includes(",") ? "," : ".";
  input.value = (next / scale).toFixed(places).replace(".", sign);
  input.dispatchEvent(new Event("input", { bubbles: true }));
  input.dispatchEvent(new Event("change", { bubbles: true }));
});
