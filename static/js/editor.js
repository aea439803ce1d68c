/* What script adds to the editor: formatting buttons, a preview that follows, keys, and saving again after being offline. */
(function () {
  "use strict";
  var form = document.querySelector("[data-editor]");
  var box = document.getElementById("b");
  var frame = document.getElementById("preview");
  var picker = document.querySelector("[data-preview]");
  var web = document.querySelector('button[name="pictures"]');
  var SUBJECT_SHOWN = 60;
  var RETRY_MS = 5000;
  if (!box) return;

  function say(text) {
    var line = document.querySelector("#saved p");
    if (line) line.textContent = text;
  }

  function changed() {
    box.dispatchEvent(new Event("input", { bubbles: true }));
    box.focus();
  }

  function replace(before, after, fallback) {
    var from = box.selectionStart, to = box.selectionEnd;
    var middle = box.value.slice(from, to) || fallback;
    box.setRangeText(before + middle + after, from, to, "select");
    changed();
  }

  document.querySelectorAll("[data-tools]").forEach(function (tools) {
    tools.hidden = !form;
    tools.addEventListener("click", function (event) {
      var button = event.target.closest("button");
      if (!button) return;
      if (button.dataset.wrap) replace(button.dataset.wrap, button.dataset.wrap, "words");
      if (button.dataset.insert) replace("", "", button.dataset.insert);
      if (button.dataset.line) {
        var start = box.value.lastIndexOf("\n", box.selectionStart - 1) + 1;
        box.setRangeText(button.dataset.line, start, start, "end");
        changed();
      }
    });
  });

  function show(mode) {
    if (!frame || !picker) return;
    var contact = picker.elements.contact ? "&contact=" + picker.elements.contact.value : "";
    frame.src = frame.src.split("?")[0] + "?as=" + (mode === "text" ? "text" : "html") + contact + (pictures() ? "&pictures=web" : "");
    document.getElementById("mail").classList.toggle("is-phone", mode === "phone");
  }

  function mode() {
    var pressed = picker && picker.querySelector('[name="as"][aria-pressed="true"]');
    return pressed ? pressed.value : "html";
  }

  /* Whether this person asked for pictures from the web; never without a press. */
  function pictures() {
    return Boolean(web && web.getAttribute("aria-pressed") === "true");
  }

  if (picker) {
    picker.addEventListener("submit", function (event) {
      event.preventDefault();
      if (event.submitter === web) {
        web.setAttribute("aria-pressed", String(!pictures()));
      } else {
        picker.querySelectorAll("[aria-pressed]").forEach(function (button) {
          button.setAttribute("aria-pressed", String(button === event.submitter));
        });
      }
      show(mode());
    });
    picker.addEventListener("change", function () { show(mode()); });
  }

  document.body.addEventListener("draft-saved", function () { show(mode()); });

  var subject = document.getElementById("id_subject");
  var counter = document.getElementById("sc");
  function count() {
    if (subject && counter) {
      var length = subject.value.length;
      counter.textContent = length ? length + (length === 1 ? " letter" : " letters") + (length > SUBJECT_SHOWN ? ", phones show about " + SUBJECT_SHOWN : ", fits on phones") : "";
    }
  }
  if (subject) subject.addEventListener("input", count);
  count();

  if (!form) return;
  form.addEventListener("input", function () { say("Saving..."); });
  document.body.addEventListener("htmx:sendError", function (event) {
    if (event.target !== form) return;
    say("Not saved: no connection. The text stays here; we try again.");
    setTimeout(function () { form.dispatchEvent(new Event("save")); }, RETRY_MS);
  });
  document.body.addEventListener("htmx:responseError", function (event) {
    if (event.target === form) say("Not saved. Press Save to see why.");
  });
  document.addEventListener("keydown", function (event) {
    if (!(event.ctrlKey || event.metaKey)) return;
    if (event.key === "s") {
      event.preventDefault();
      form.dispatchEvent(new Event("save"));
    } else if (event.key === "Enter") {
      event.preventDefault();
      document.querySelector('[form="draft"][name="review"]').click();
    }
  });
})();
