// A page and its event stream do not begin at the same moment: what happened in between is fetched once the stream is there.
import { refresh } from "./live.js";

export function onceLive(handler) {
  const root = document.documentElement;
  if (root.dataset.live === "on") {
    handler();
    return;
  }
  const watch = new MutationObserver(() => {
    if (root.dataset.live !== "on") return;
    watch.disconnect();
    handler();
  });
  watch.observe(root, { attributeFilter: ["data-live"] });
}

onceLive(() => {
  for (const part of document.querySelectorAll("main [data-catches-up]")) refresh(part);
});
