// Webhooks: keys. Everything else is links, forms and parts that are fetched again.
import { onKey } from "./keys.js";
import { refresh } from "./live.js";
import "./rows.js";

onKey("t", () => document.querySelector("form[action$='/test'] button")?.click());

// A test that was retried or is on its way tells by no event that it has begun.
document.getElementById("test")?.addEventListener("fragment", (event) => {
  const health = document.getElementById("health");
  if (event.target.id === "test" && health) refresh(health);
});
