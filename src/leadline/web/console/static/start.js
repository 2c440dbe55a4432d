// The page's scripts, once its first picture has been painted: fetching and compiling them would hold it up.

let started = false;

// What every page does stands first, so that a question is asked before the page's own script sends a form; and only
// when all of them stand does the page listen to its stream: nothing that happens finds half of them.
async function start() {
  if (started) return;
  started = true;
  const [app, ...others] = document.querySelector("meta[name=scripts]").content.split(" ").filter(Boolean);
  for (const url of others) {
    document.head.append(Object.assign(document.createElement("link"), { rel: "modulepreload", href: url }));
  }
  const { everythingStands } = await import(app);
  await Promise.all(others.map((url) => import(url)));
  everythingStands();
}

// Never before all of the page is there, which may be painted in parts: as modules in its head would wait.
addEventListener("DOMContentLoaded", () => {
  // A tab in the background paints nothing, and a window that is covered may paint late.
  if (document.hidden) start();
  else new PerformanceObserver(start).observe({ type: "paint", buffered: true });
  setTimeout(start, 250);
});
