// Before anything is painted: with script, the intake shows one step at a time.
document.documentElement.classList.add("has-steps");
