/* What script adds to pages that work without it: colour scheme, copying, submit once, focus, keys. */
(function () {
  "use strict";
  var root = document.documentElement;
  var COPIED_MS = 1600;
  var KEY_PAIR_MS = 1200;
  var pendingGo = 0;

  function remember(theme) {
    root.dataset.bsTheme = theme;
    try {
      localStorage.setItem("theme", theme);
    } catch (error) {
      /* storage is blocked: the choice lasts for this page */
    }
  }

  function isDark() {
    return root.dataset.bsTheme
      ? root.dataset.bsTheme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
  }

  function reveal(scope) {
    scope.querySelectorAll("[data-theme-toggle][hidden], [data-copy][hidden]").forEach(function (part) {
      part.hidden = false;
    });
  }

  function copy(button) {
    var source = document.getElementById(button.dataset.copy);
    var label = button.querySelector("span");
    if (!source || !label) return;
    var text = (source.value === undefined ? source.textContent : source.value).trim();
    var say = function (word) {
      label.textContent = word;
      setTimeout(function () { label.textContent = "Copy"; }, COPIED_MS);
    };
    if (navigator.clipboard) {
      navigator.clipboard.writeText(text).then(function () { say("Copied"); }, function () { say("Not copied"); });
    } else {
      getSelection().selectAllChildren(source);
      say("Selected");
    }
  }

  document.addEventListener("click", function (event) {
    var button = event.target.closest("[data-copy]");
    if (button) copy(button);
    if (event.target.closest("[data-theme-toggle]")) remember(isDark() ? "light" : "dark");
    var disabled = event.target.closest('[aria-disabled="true"]');
    if (disabled) event.preventDefault();
  });

  /* Escape closes an open menu and goes back to what opened it. */
  document.addEventListener("keydown", function (event) {
    if (event.key !== "Escape") return;
    var menu = event.target.closest(".only-m[open], .s-mob > details[open], .s-switch[open]");
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });

  /* A second press of a form's button must not send it twice; the server refuses doubles as well. */
  document.addEventListener("submit", function (event) {
    var button = event.submitter;
    if (!button || !button.hasAttribute("data-once")) return;
    if (button.dataset.sent) {
      event.preventDefault();
      return;
    }
    button.dataset.sent = "yes";
    setTimeout(function () { button.setAttribute("aria-disabled", "true"); }, 0);
  });

  /* Coming back with the browser's Back button shows a page whose buttons must work again. */
  addEventListener("pageshow", function (event) {
    if (!event.persisted) return;
    document.querySelectorAll("[data-sent]").forEach(function (button) {
      delete button.dataset.sent;
      button.removeAttribute("aria-disabled");
    });
  });

  function isTyping(target) {
    return target.closest("input, textarea, select, [contenteditable]") !== null;
  }

  function keysAreOff() {
    try {
      return localStorage.getItem("keys") === "off";
    } catch (error) {
      return false;
    }
  }

  function go(key) {
    var place = document.body.dataset["go" + key.toUpperCase()];
    if (place && place !== "#") location.assign(place);
  }

  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || keysAreOff()) return;
    if (document.body.dataset.shortcuts !== "portal") return;
    if (event.key === "/") {
      var search = document.querySelector('input[type="search"]');
      if (search) {
        event.preventDefault();
        search.focus();
      }
    } else if (event.key === "g") {
      pendingGo = Date.now();
    } else if (Date.now() - pendingGo < KEY_PAIR_MS && "ocl".indexOf(event.key) >= 0) {
      go(event.key);
    }
  });

  reveal(document);
  document.addEventListener("htmx:load", function (event) { reveal(event.target); });
  var errors = document.querySelector("[data-errors]");
  if (errors) errors.focus();
})();
