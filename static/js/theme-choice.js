// The choice between the system's, a light and a dark look, kept in a cookie so that the server can render it at once.
const YEAR = 365 * 24 * 60 * 60;
const system = window.matchMedia("(prefers-color-scheme: dark)");

for (const box of document.querySelectorAll("[data-theme-choice]")) box.hidden = false;

document.addEventListener("change", (event) => {
  const input = event.target.closest("[data-theme-choice] input");
  if (!input) return;
  const root = document.documentElement;
  const secure = location.protocol === "https:" ? "; Secure" : "";
  const age = input.value ? YEAR : 0;
  document.cookie = `theme=${input.value}; Path=/; Max-Age=${age}; SameSite=Lax${secure}`;
  root.dataset.bsTheme = input.value || (system.matches ? "dark" : "light");
  if (input.value) root.dataset.themeChosen = "yes";
  else delete root.dataset.themeChosen;
});
