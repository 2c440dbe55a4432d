// The page's scripts, once its first picture has been painted: fetching and compiling them would hold it up.

let started = false;

function start() {
  if (started) return;
  started = true;
  for (const url of document.querySelector("meta[name=scripts]").content.split(" ")) {
    if (url) import(url);
  }
}

// Never before all of the page is there, which may be painted in parts: as modules in its head would wait.
addEventListener("DOMContentLoaded", () => {
  // A tab in the background paints nothing, and a window that is covered may paint late.
  if (document.hidden) start();
  else new PerformanceObserver(start).observe({ type: "paint", buffered: true });
  setTimeout(start, 250);
});
