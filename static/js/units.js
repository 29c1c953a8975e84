// Beside a number that may be given in several units: what it is in the others, while it is typed.
// The server converts by the same figures and has the last word; this only shows it.

const number = (text) => {
  const bare = text.replace(/[\s\u00a0\u202f\u2009]/g, "").replace(",", ".");
  return /^[+-]?\d+(\.\d+)?$/.test(bare) ? Number(bare) : null;
};

const show = (select) => {
  const form = select.form;
  const input = form?.elements.namedItem(select.dataset.unitOf);
  const output = form?.querySelector(`[data-converted="${CSS.escape(select.dataset.unitOf)}"]`);
  if (!input || !output) return;
  const typed = number(input.value);
  const mine = select.selectedOptions[0];
  const others = [...select.options].filter((option) => option.value && option !== mine);
  output.hidden = typed === null || !mine?.value;
  if (output.hidden) return;
  const stored = typed * Number(mine.dataset.factor) + Number(mine.dataset.offset);
  const written = new Intl.NumberFormat(document.documentElement.lang || "en", { maximumFractionDigits: 1 });
  output.textContent = others
    .map((option) => [(stored - Number(option.dataset.offset)) / Number(option.dataset.factor), option.label])
    .map(([value, label]) => `= ${written.format(value)} ${label}`)
    .join("  ");
};

const all = () => document.querySelectorAll("select[data-unit-of]").forEach(show);
const about = (target) => {
  if (target.matches?.("select[data-unit-of]")) return show(target);
  const beside = target.name && target.form?.querySelector(`select[data-unit-of="${CSS.escape(target.name)}"]`);
  if (beside) show(beside);
};
document.addEventListener("input", (event) => about(event.target));
document.addEventListener("change", (event) => about(event.target));
document.addEventListener("htmx:after:swap", all);
all();
