"use strict";
(() => {
  const opened = (hash) => {
    const target = hash.length > 1 && document.getElementById(hash.slice(1));
    if (!target) return;
    if (target.closest(".hidden")) { field.value = ""; filter(); }
    for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
    target.scrollIntoView({ block: "start" });
    const summary = target.querySelector("summary");
    if (summary) summary.focus({ preventScroll: true });
  };
  addEventListener("hashchange", () => opened(location.hash));
  addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest('a[href^="#"], svg a');
    if (link) setTimeout(() => opened(link.getAttribute("href")), 0);
  });
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((each) => { each.open = true; }));
  const field = document.getElementById("filter");
  const count = document.getElementById("shown");
  const filter = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    document.querySelectorAll("[data-dataset]").forEach((each) => {
      const text = each.dataset.text.toLowerCase();
      const fits = words.every((word) => text.includes(word));
      each.classList.toggle("hidden", !fits);
      if (fits && each.tagName === "TR") shown += 1;
    });
    count.textContent = words.length ? `${shown} shown` : "";
  };
  opened(location.hash);
  if (field) {
    field.addEventListener("input", filter);
    addEventListener("keydown", (event) => {
      if (event.key === "/" && document.activeElement !== field) { event.preventDefault(); field.focus(); }
      if (event.key === "Escape" && document.activeElement === field) { field.value = ""; filter(); }
    });
  }
})();
