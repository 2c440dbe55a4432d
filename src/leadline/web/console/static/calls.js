// Calls: keys. What happens is seen by itself.
import { onKey } from "./keys.js";
import "./rows.js";

onKey("m", () => document.querySelector(".tabs a[href='/calls?missing=1']")?.click());
onKey("d", () => document.getElementById("outcome_id")?.focus());

// The page writes UTC; people read their own clock.
function showClocks(root = document) {
  for (const each of root.querySelectorAll("[data-clock]")) {
    each.textContent = new Date(each.dataset.clock).toLocaleTimeString("en-GB");
  }
  for (const each of root.querySelectorAll("[data-day]")) {
    each.textContent = `Your time, on ${new Date(each.dataset.day).toLocaleDateString("en", { dateStyle: "long" })}.`;
  }
}
showClocks();
document.addEventListener("fragment", (event) => showClocks(event.target));
