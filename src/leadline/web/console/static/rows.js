// j and k go through the rows of a list; Enter opens, because it is their link that is focused.
import { onKey } from "./keys.js";

const links = () => [...document.querySelectorAll("main tbody .row-link")];

function move(by) {
  const all = links();
  const here = all.findIndex((link) => link.closest("tr") === document.activeElement?.closest("tr"));
  const current = here < 0 ? all.findIndex((link) => link.hasAttribute("aria-current")) : here;
  const next = current < 0 ? (by > 0 ? 0 : all.length - 1) : current + by;
  all[Math.min(Math.max(next, 0), all.length - 1)]?.focus();
}

onKey("j", () => move(1));
onKey("k", () => move(-1));
