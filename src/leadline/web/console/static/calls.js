// Calls: keys, clocks, and a call that changes while somebody looks at it.
import { onEvent, onReturn, refresh } from "./live.js";
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

// ── One call ────────────────────────────────────────────────────
const parts = [...document.querySelectorAll("[data-of-call]")];
const callId = parts[0]?.dataset.ofCall;

if (callId) {
  const allAgain = () => parts.forEach((part) => refresh(part));
  onEvent(["call.answered", "call.ended", "call.closed", "outcome.applied"], (event) => {
    if (event.data.call_id === callId) allAgain();
  });
  onEvent(["delivery.succeeded", "delivery.failed"], (event) => {
    if (event.data.call_id === callId) parts.filter((part) => "deliveries" in part.dataset).forEach((part) => refresh(part));
  });
  onReturn(allAgain);
}
