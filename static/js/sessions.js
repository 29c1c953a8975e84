// What makes the pages about visits quicker. Each of them works as a plain form without this.

// [data-print] prints the page.
for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

// A form of wishes plans again as soon as one of them changes.
for (const form of document.querySelectorAll("form[data-replan]")) {
  let wait;
  form.addEventListener("change", () => {
    clearTimeout(wait);
    wait = setTimeout(() => form.requestSubmit(), 500);
  });
}

// The record: a line asks for a reason only where it differs from the plan or names no lot; the sum stands in the bar.
for (const form of document.querySelectorAll("form[data-record]")) {
  const total = document.querySelector("[data-total]");
  const show = () => {
    let hundredths = 0;
    for (const line of form.querySelectorAll("[data-line]")) {
      const input = line.querySelector("[data-planned]");
      const done = Math.round(Number(input.value) * 100);
      const differs = done !== Math.round(Number(input.dataset.planned) * 100);
      hundredths += Number.isFinite(done) ? done : 0;
      line.querySelector("[data-same]").hidden = differs;
      line.querySelector("[data-differs]").hidden = !differs;
      const lot = line.querySelector("select");
      const lacksLot = lot?.options.length > 1 && !lot.value && done > 0;
      line.querySelector("[data-why]").hidden = !differs && !lacksLot && !line.classList.contains("rc-bad");
    }
    if (total) {
      total.hidden = false;
      const shown = (hundredths / 100).toLocaleString(document.documentElement.lang, { minimumFractionDigits: 2 });
      total.querySelector("[data-total-ml]").textContent = `${shown}\u00a0mL`;
    }
  };
  form.addEventListener("input", show);
  show();
}
