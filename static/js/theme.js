// Runs before the first paint, so that a chosen or a system's dark theme never flashes light. Our own tokens follow
// the system without this; the base framework wants the attribute. The server sets it when a theme was chosen.
(() => {
  const root = document.documentElement;
  if (root.dataset.bsTheme) return;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const follow = () => {
    if (!root.dataset.themeChosen) root.dataset.bsTheme = dark.matches ? "dark" : "light";
  };
  follow();
  dark.addEventListener("change", follow);
})();
