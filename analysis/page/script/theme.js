// Theme ---------------------------------------------------------------------------------------------------------------

const THEME = "bpo-lab-theme";

function stored() {
  try {
    return localStorage.getItem(THEME);
  } catch {
    return null; // a browser may deny storage to files
  }
}

function startTheme() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const button = byId("theme");
  const current = () => document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light");
  const label = () => {
    const other = current() === "dark" ? "Light" : "Dark";
    button.textContent = other;
    button.setAttribute("aria-label", `${other} colors`);
  };
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = current() === "dark" ? "light" : "dark";
    try {
      localStorage.setItem(THEME, document.documentElement.dataset.theme);
    } catch {
      // then the choice lasts for this visit
    }
    label();
  });
  system.addEventListener("change", label);
  label();
  button.hidden = false;
}

// Runs in the head, before anything is painted.
if (["light", "dark"].includes(stored())) document.documentElement.dataset.theme = stored();

