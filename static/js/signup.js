/* Work before a sign-up: a number is sought whose SHA-256 with our task begins with zero bits. Costs a visitor about a
   second and a sender of a million sign-ups weeks. Where a browser cannot, the
   slower path is taken: fewer sign-ups an hour. */
(function () {
  "use strict";
  var form = document.querySelector("form[data-work]");
  if (!form) return;
  var bits = Number(form.dataset.work);
  var status = form.querySelector("[data-status]");

  form.elements.slow.value = "";  // stands there for browsers that never run this

  function slow() {
    form.elements.slow.value = "1";
  }

  function isEnough(bytes) {
    var zeros = 0;
    for (var index = 0; index < bytes.length; index += 1) {
      var lead = Math.clz32(bytes[index]) - 24;
      zeros += lead;
      if (lead < 8) break;
    }
    return zeros >= bits;
  }

  async function work(task) {
    var encoder = new TextEncoder();
    for (var nonce = 0; nonce < 100000000; nonce += 1) {
      var digest = await crypto.subtle.digest("SHA-256", encoder.encode(task + nonce));
      if (isEnough(new Uint8Array(digest))) return String(nonce);
    }
    throw new Error("no number found");
  }

  form.addEventListener("submit", function (event) {
    if (form.elements.nonce.value || form.elements.slow.value) return;
    event.preventDefault();
    if (!form.reportValidity()) return;
    if (status) status.textContent = "One moment, we check that you are no machine.";
    var found = window.crypto && crypto.subtle ? work(form.elements.task.value) : Promise.reject(new Error("no crypto"));
    found.then(function (nonce) { form.elements.nonce.value = nonce; }, slow).then(function () { form.submit(); });
  });
})();
