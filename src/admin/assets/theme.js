// Light or dark, before anything is drawn: the system's choice unless the user has made one. Not a module, because those
// come too late.
"use strict";

(() => {
  const KEY = "director-theme";
  const root = document.documentElement;

  function chosen() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null;
    }
  }

  function show(theme) {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
  }

  show(chosen());

  /** `light`, `dark`, or anything else for the system's choice. */
  window.directorTheme = {
    chosen: () => chosen() ?? "system",
    choose(theme) {
      try {
        if (theme === "system") localStorage.removeItem(KEY);
        else localStorage.setItem(KEY, theme);
      } catch {
        // It holds for this page only.
      }
      show(theme);
    },
  };
})();
