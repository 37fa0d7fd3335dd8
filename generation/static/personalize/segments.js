// The builder of segments. The server draws every line and answers every button, with or without this script: it only
// asks for the changed parts instead of the whole page, and as soon as something is chosen.
(() => {
  "use strict";
  const form = document.getElementById("segment-form");
  if (!form) return;
  const part = (name) => document.getElementById(`segment-${name}`);
  let turn = 0;
  let timer = 0;

  const focusOn = (at) => {
    const place = at && form.querySelector(`[data-at="${CSS.escape(at)}"]`);
    const control = place && place.querySelector("select, input, textarea, button");
    if (control) control.focus();
  };

  const ask = async (command, redraw) => {
    const mine = ++turn;
    const body = new FormData(form);
    body.set("do", command);
    form.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(window.location.href, { method: "POST", body, headers: { "X-Fragment": "1" }, credentials: "same-origin" });
      if (!answer.ok || mine !== turn) return;
      const fresh = await answer.json();
      if (redraw) {
        const active = document.activeElement;
        const name = active && form.contains(active) ? active.name : "";
        part("builder").innerHTML = fresh.builder; // our own template, escaped on the server
        if (fresh.focus) focusOn(fresh.focus);
        else if (name && name !== "do") form.elements[name]?.focus?.();
      }
      part("look").innerHTML = fresh.look;
    } catch {
      // The buttons still work: the browser sends the form.
    } finally {
      if (mine === turn) form.removeAttribute("aria-busy");
    }
  };
  const soon = (redraw, after) => {
    clearTimeout(timer);
    timer = setTimeout(() => ask("look", redraw), after);
  };

  form.addEventListener("submit", (event) => {
    const command = event.submitter?.value || "look";
    if (command === "save" || command === "save_and_stay") return;
    event.preventDefault();
    clearTimeout(timer);
    ask(command, true);
  });
  part("builder").addEventListener("change", (event) => {
    if (event.target.name === "json") return;
    soon(event.target.matches("select, [data-redraw]"), 60);
  });
  form.addEventListener("input", (event) => {
    if (event.target.matches("select, #segment-json, #id_name, #id_slug, #id_like_count")) return;
    soon(false, 500);
  });

  const slug = document.getElementById("id_slug");
  const source = slug && document.getElementById(slug.dataset.from);
  if (source && !slug.value) {
    let own = false;
    slug.addEventListener("input", () => { own = slug.value !== ""; });
    source.addEventListener("input", () => {
      if (!own) slug.value = source.value.normalize("NFKD").replace(/[^\w\s-]/g, "").trim().toLowerCase().replace(/[\s_-]+/g, "-").slice(0, 50);
    });
  }
  focusOn(form.dataset.focus);
})();
