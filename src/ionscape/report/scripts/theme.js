// The theme: that of the system, or the one chosen with the button in the bar, remembered where the browser allows it.

const THEMES = ["auto", "light", "dark"];
const page = document.documentElement;
const watchers = []; // called after every change of theme

function remembered() {
  try { return localStorage.getItem("ionscape-theme"); } catch { return null; }
}

function setTheme(name) {
  if (name === "auto") { delete page.dataset.theme; } else { page.dataset.theme = name; }
  try { localStorage.setItem("ionscape-theme", name); } catch { /* nothing is remembered */ }
  const button = document.getElementById("theme");
  if (button) { button.textContent = `Theme: ${name}`; }
  watchers.forEach((watch) => watch());
}

function colourOf(variable) {
  // a custom property holds light-dark(…): the browser resolves it where it is used
  const probe = document.createElement("i");
  probe.style.color = `var(${variable})`;
  page.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function hexOf(variable) {
  return `#${colourOf(variable).match(/\d+/g).slice(0, 3).map((n) => Number(n).toString(16).padStart(2, "0")).join("")}`;
}

function beginTheme() {
  const button = document.getElementById("theme");
  button.hidden = false;
  button.addEventListener("click", () => {
    const now = THEMES.indexOf(page.dataset.theme ?? "auto");
    setTheme(THEMES[(now + 1) % THEMES.length]);
  });
  const kept = remembered();
  if (THEMES.includes(kept) && kept !== "auto") { setTheme(kept); }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => watchers.forEach((watch) => watch()));
}
