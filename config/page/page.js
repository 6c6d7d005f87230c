// Puts what the node says now in place of what it said before; without this the page reloads itself.
"use strict";
(() => {
  const SILENCE = 5000; // ms without a word after which what is shown is old
  const RETRY = 3000; // ms until a stream that was refused is asked for again
  const live = document.getElementById("live");
  const lost = document.getElementById("lost");
  const last = document.getElementById("last");
  let heard = Date.now();

  // Only sections that differ are replaced, so that a selection elsewhere on the page survives.
  function show(html) {
    const next = new DOMParser().parseFromString(html, "text/html");
    for (const section of next.querySelectorAll("section[id]")) {
      const old = document.getElementById(section.id);
      if (old && old.outerHTML !== section.outerHTML) {
        old.replaceWith(document.importNode(section, true));
      }
    }
    document.title = document.getElementById("headline").textContent;
  }

  function mark() {
    const old = Date.now() - heard > SILENCE;
    document.body.classList.toggle("stale", old);
    live.className = old ? "live off" : "live on";
    live.textContent = old ? "no answer" : "live";
    if (lost.hidden === old) {
      last.textContent = new Date(heard).toLocaleTimeString();
      lost.hidden = !old;
    }
  }

  function listen() {
    const stream = new EventSource("events");
    stream.addEventListener("page", (event) => {
      heard = Date.now();
      show(event.data);
      mark();
    });
    stream.addEventListener("beat", () => {
      heard = Date.now();
      mark();
    });
    stream.addEventListener("error", () => {
      if (stream.readyState === EventSource.CLOSED) {
        setTimeout(listen, RETRY);
      }
    });
  }

  setInterval(mark, 1000);
  mark();
  listen();
})();
