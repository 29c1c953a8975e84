// <input data-filter="#list">: shows the children of #list whose words hold what is typed. What counts is data-words,
// or else the text. An element [data-filter-none] in the list's parent appears when nothing matches.
const plain = (text) => text.normalize("NFD").replace(/\p{Diacritic}/gu, "").toLowerCase();

const apply = (input) => {
  const list = document.querySelector(input.dataset.filter);
  if (!list) return;
  const words = plain(input.value).split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of list.children) {
    const text = plain(row.dataset.words ?? row.textContent);
    row.hidden = !words.every((word) => text.includes(word));
    shown += !row.hidden;
  }
  const none = list.parentElement?.querySelector("[data-filter-none]");
  if (none) none.hidden = shown > 0;
};

document.addEventListener("input", (event) => {
  if (event.target.matches?.("[data-filter]")) apply(event.target);
});
