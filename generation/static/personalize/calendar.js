// Keys of the calendar: one day is in the tab order, arrows move, Page Up and Down change the month, Enter opens.
(() => {
  "use strict";
  const grid = document.querySelector(".pz-cal");
  const go = (id) => document.getElementById(id)?.click();
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
    if (event.key === "PageUp") { event.preventDefault(); go("cal-before"); }
    if (event.key === "PageDown") { event.preventDefault(); go("cal-after"); }
  });
  if (!grid) return;
  const days = [...grid.querySelectorAll("td")];
  const start = days.find((day) => day.hasAttribute("aria-current")) || days.find((day) => !day.classList.contains("pz-cal-out"));
  const choose = (day, focus) => {
    days.forEach((each) => { each.tabIndex = each === day ? 0 : -1; });
    if (focus) day.focus();
  };
  choose(start, false);
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -7, ArrowDown: 7 };
  grid.addEventListener("keydown", (event) => {
    const here = days.indexOf(event.target);
    if (here < 0) return;
    if (event.key in steps) {
      event.preventDefault();
      const next = days[here + steps[event.key]];
      if (next) choose(next, true);
    } else if (event.key === "Home" || event.key === "End") {
      event.preventDefault();
      choose(days[event.key === "Home" ? here - (here % 7) : here - (here % 7) + 6], true);
    } else if (event.key === "Enter") {
      const link = event.target.querySelector("a");
      if (link) { event.preventDefault(); link.click(); }
    }
  });
})();
