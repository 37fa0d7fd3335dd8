// One key for the list of pieces: o opens the first on the desk. The button does the same.
(() => {
  "use strict";
  document.addEventListener("keydown", (event) => {
    if (event.key !== "o" || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (event.target.closest("input, textarea, select")) return;
    const first = document.getElementById("read-first");
    if (first) window.location.assign(first.href);
  });
})();
