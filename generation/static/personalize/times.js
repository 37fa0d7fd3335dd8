// The next five times of the schedule in the form, while it is being typed. The server answers; nothing is stored.
(() => {
  "use strict";
  const part = document.getElementById("pz-times");
  const form = part?.closest("form") || document.getElementById("campaign_form");
  if (!part || !form) return;
  const names = ["schedule", "schedule_cron", "schedule_time", "schedule_time_zone", "entry", "entry_event", "reentry_days"];
  let timer = 0, last = "";
  const ask = async () => {
    const query = new URLSearchParams();
    for (const name of names) {
      const field = form.elements[name];
      if (field) query.set(name, field.value);
    }
    for (const box of form.querySelectorAll("[name=schedule_days]:checked")) query.append("schedule_days", box.value);
    query.set("date", form.elements.schedule_at_0?.value || "");
    query.set("time", form.elements.schedule_at_1?.value || "");
    if (query.toString() === last) return;
    last = query.toString();
    try {
      const answer = await fetch(`${part.dataset.source}?${query}`, { headers: { Accept: "application/json" }, credentials: "same-origin" });
      if (!answer.ok) return;
      const found = await answer.json();
      const list = document.createElement("ol");
      list.className = "pz-plain";
      for (const text of found.times) {
        const line = document.createElement("li");
        line.textContent = text;
        list.append(line);
      }
      const words = document.createElement("p");
      words.textContent = found.error || found.words;
      part.replaceChildren(words, list);
    } catch { /* what the page was loaded with stays */ }
  };
  const soon = () => { clearTimeout(timer); timer = setTimeout(ask, 250); };
  form.addEventListener("input", soon);
  form.addEventListener("change", soon);
  setInterval(soon, 1500); // pickers write into fields without an event
})();
