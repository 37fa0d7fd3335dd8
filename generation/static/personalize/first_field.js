// The page is hidden until its theme is known, and a hidden field gets no autofocus: it gets it here, once.
(() => {
  "use strict";
  const field = document.querySelector("[autofocus]");
  if (!field) return;
  const focus = () => {
    if (document.activeElement === document.body) field.focus();
    return document.activeElement !== document.body;
  };
  if (focus()) return;
  const seen = new MutationObserver(() => focus() && seen.disconnect());
  seen.observe(document.documentElement, { attributes: true });
})();
