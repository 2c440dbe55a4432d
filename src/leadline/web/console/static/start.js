// The page's scripts, once its first picture has been painted: fetching and compiling them would hold it up.

let started = false;

function start() {
  if (started) return;
  started = true;
  for (const url of document.querySelector("meta[name=scripts]").content.split(" ")) {
    if (url) import(url);
  }
}

// A tab in the background paints nothing.
if (document.hidden) start();
else requestAnimationFrame(() => setTimeout(start));
// A window that is covered may paint late.
setTimeout(start, 250);
