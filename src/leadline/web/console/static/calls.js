// Calls: keys. What happens is seen by itself.
import { onKey } from "./keys.js";
import "./rows.js";

onKey("m", () => document.querySelector(".tabs a[href='/calls?missing=1']")?.click());
onKey("d", () => document.getElementById("outcome_id")?.focus());
