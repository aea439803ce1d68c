/* The chosen colour scheme, set before the first paint; without a choice the system decides. */
(function () {
  "use strict";
  var chosen = null;
  try {
    chosen = localStorage.getItem("theme");
  } catch (error) {
    chosen = null; /* storage is blocked: follow the system */
  }
  if (chosen === "light" || chosen === "dark") {
    document.documentElement.dataset.bsTheme = chosen;
  }
})();
