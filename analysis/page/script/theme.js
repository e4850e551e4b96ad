// Theme ---------------------------------------------------------------------------------------------------------------

const THEME = "bpo-lab-theme";

function stored() {
  try {
    return localStorage.getItem(THEME);
  } catch {
    return null; // storage may be closed to files
  }
}

function startTheme() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const button = byId("theme");
  const current = () => document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light");
  const label = () => {
    const other = current() === "dark" ? "Light" : "Dark";
    button.textContent = other;
    button.setAttribute("aria-label", `${other} colours`);
  };
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = current() === "dark" ? "light" : "dark";
    try {
      localStorage.setItem(THEME, document.documentElement.dataset.theme);
    } catch {
      // it holds for this visit then
    }
    label();
  });
  system.addEventListener("change", label);
  label();
  button.hidden = false;
}

// In the head: before anything is painted.
if (["light", "dark"].includes(stored())) document.documentElement.dataset.theme = stored();

