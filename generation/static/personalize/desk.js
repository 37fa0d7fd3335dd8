// Keys for the review desk. Every key presses a button that is on the page: without this file nothing is lost.
(() => {
  "use strict";
  const $ = (id) => document.getElementById(id);
  const desk = $("desk");
  if (!desk) return;
  let sent = false; // a key pressed twice decides once

  const send = (id) => {
    const form = $(id);
    if (form && !sent && !form.querySelector("button[disabled]") && form.reportValidity()) {
      sent = true;
      form.requestSubmit();
    }
  };
  const closeAll = () => document.querySelectorAll("#desk details[open].pz-drop, #edit[open]").forEach((d) => (d.open = false));
  const open = (id, focus) => {
    const part = $(id);
    if (!part) return;
    closeAll();
    part.open = true;
    const target = part.querySelector(focus);
    if (target) target.focus({ preventScroll: false });
    part.scrollIntoView({ block: "nearest" });
  };
  const go = (address) => {
    if (address) window.location.assign(address);
  };
  const keys = {
    a: () => send("approve-form"),
    r: () => open("reject", "input[type=radio]"),
    e: () => open("edit", "textarea"),
    w: () => open("again", "textarea"),
    j: () => go(desk.dataset.next),
    k: () => go(desk.dataset.previous),
    u: () => send($("undo-form") ? "undo-form" : "reopen-form"),
    "?": () => open("help", "summary"),
  };

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      closeAll();
      document.activeElement && document.activeElement.blur();
      return;
    }
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.closest("form")) {
      const form = event.target.closest("form");
      if (form.id && desk.contains(form)) send(form.id);
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const typing = event.target.closest("textarea, select, input:not([type=radio])");
    if (typing) return;
    if ($("reject") && $("reject").open) {
      const reason = document.querySelectorAll("#reject input[type=radio]")[Number(event.key) - 1];
      if (reason) {
        reason.checked = true;
        reason.focus();
        event.preventDefault();
        return;
      }
      if (event.key === "Enter" && event.target.matches("input[type=radio]")) {
        event.preventDefault();
        send("reject-form");
        return;
      }
    }
    const act = keys[event.key];
    if (act) {
      event.preventDefault();
      act();
    }
  });

  // The server's checks while somebody types: the same rules as on saving, a moment after the last key.
  const form = $("edit-form");
  const live = $("live");
  if (form && live) {
    let waiting = 0;
    let asked = 0;
    const check = async () => {
      const mine = ++asked;
      try {
        const answer = await fetch(live.dataset.source, { method: "POST", body: new FormData(form), credentials: "same-origin" });
        if (answer.ok && mine === asked) live.innerHTML = await answer.text(); // our own template, escaped there
      } catch {
        live.textContent = "";
      }
    };
    const later = (delay) => {
      clearTimeout(waiting);
      waiting = setTimeout(check, delay);
    };
    form.addEventListener("input", () => later(500));
    $("edit").addEventListener("toggle", () => $("edit").open && later(0));
    if ($("edit").open) later(0);
  }

  window.addEventListener("pageshow", () => (sent = false));
})();
