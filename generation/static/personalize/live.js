// Keeps the progress of a run fresh while its pieces are being written. Without it the page reloads itself.
(() => {
  "use strict";
  const part = document.getElementById("progress");
  if (!part || part.dataset.busy !== "yes") return;
  const ask = async () => {
    try {
      const answer = await fetch(part.dataset.source, { headers: { Accept: "application/json" }, credentials: "same-origin" });
      if (!answer.ok) return;
      const fresh = await answer.json();
      part.innerHTML = fresh.html; // our own template, escaped on the server
      if (fresh.busy) setTimeout(ask, 3000);
      else window.location.reload();
    } catch {
      setTimeout(ask, 10000);
    }
  };
  setTimeout(ask, 3000);
})();
