// Draws each chart of a page from the data beside it. The same numbers stand below as a table.
(() => {
  "use strict";
  const draw = () => {
    if (!window.Chart) return;
    const style = getComputedStyle(document.querySelector(".pz-card"));
    const text = style.color;
    const line = style.borderTopColor;
    const bar = style.getPropertyValue("--pz-accent").trim();
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    document.querySelectorAll("canvas[data-chart]").forEach((canvas) => {
      const data = JSON.parse(document.getElementById(canvas.dataset.chart).textContent);
      const held = window.Chart.getChart(canvas);
      if (held) held.destroy();
      canvas.parentElement.style.height = `${Math.max(140, 40 + 30 * data.labels.length)}px`;
      new window.Chart(canvas, {
        type: "bar",
        data: { labels: data.labels, datasets: [{ data: data.values, backgroundColor: bar, borderRadius: 4, maxBarThickness: 22 }] },
        options: {
          indexAxis: "y",
          animation: still ? false : { duration: 250 },
          maintainAspectRatio: false,
          plugins: { legend: { display: false } },
          scales: {
            x: { beginAtZero: true, ticks: { color: text, precision: 0 }, grid: { color: line } },
            y: { ticks: { color: text, autoSkip: false }, grid: { display: false } },
          },
        },
      });
    });
  };
  draw();
  // The theme can be switched on the page.
  new MutationObserver(draw).observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
})();
