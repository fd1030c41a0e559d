"use strict";
(() => {
  const version = document.documentElement.dataset.version;
  const ask = async () => {
    try {
      const answer = await fetch("version", { cache: "no-store" });
      if (answer.ok && (await answer.text()) !== version && !document.querySelector("#filter:focus")) location.reload();
    } catch (error) { document.title = "(ended) " + document.title.replace("(ended) ", ""); return; }
    setTimeout(ask, 2000);
  };
  setTimeout(ask, 2000);
})();
