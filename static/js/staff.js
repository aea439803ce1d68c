/* Keys of the staff pages: J next, K previous, W warn, S suspend, N note, ? all keys. Dead inside fields. */
(function () {
  "use strict";

  function keysAreOff() {
    try {
      return localStorage.getItem("keys") === "off";
    } catch (error) {
      return false;
    }
  }

  function press(part) {
    if (part.tagName === "INPUT") {
      part.checked = true;
      part.dispatchEvent(new Event("change", { bubbles: true }));
      part.scrollIntoView({ block: "center" });
      part.focus();
    } else if (part.tagName === "TEXTAREA") {
      part.focus();
    } else if (part.tagName === "DETAILS") {
      part.open = !part.open;
      part.querySelector("summary").focus();
    } else {
      part.click();
    }
  }

  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey || keysAreOff()) return;
    if (event.target.closest("textarea, select, [contenteditable], input:not([type=radio]):not([type=checkbox])")) return;
    var part = document.querySelector('[data-key="' + CSS.escape(event.key.toLowerCase()) + '"]');
    if (part) {
      event.preventDefault();
      press(part);
    }
  });

  function name(button) {
    button.textContent = keysAreOff() ? "Switch keys on" : "Switch keys off";
  }

  document.querySelectorAll("[data-keys-switch]").forEach(function (button) {
    button.hidden = false;
    name(button);
  });

  document.addEventListener("click", function (event) {
    var button = event.target.closest("[data-keys-switch]");
    if (!button) return;
    try {
      localStorage.setItem("keys", keysAreOff() ? "on" : "off");
      name(button);
    } catch (error) {
      button.textContent = "This browser keeps no choice";
    }
  });
})();

/* The decide button says what it does: its words follow the chosen action. */
(function () {
  "use strict";
  var button = document.querySelector("[data-decide]");
  if (!button) return;

  function name() {
    var chosen = button.form.querySelector("[data-button]:checked");
    if (chosen) button.textContent = chosen.dataset.button;
  }

  button.form.addEventListener("change", name);
  name();
})();
