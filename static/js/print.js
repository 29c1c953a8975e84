// <button data-print-frame="id"> prints what the frame of that id shows. Without script the PDF has a tab of its own.
const show = () => {
  for (const button of document.querySelectorAll("[data-print-frame]")) button.hidden = false;
};
show();
document.addEventListener("htmx:after:swap", show);
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-print-frame]");
  if (!button) return;
  const frame = document.getElementById(button.dataset.printFrame);
  frame.contentWindow.focus();
  frame.contentWindow.print();
});
