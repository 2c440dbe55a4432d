// The editor of an outcome: the agent's button as it will look, lists narrowed by name, the webhook tried out.
import { post } from "./forms.js";
import { onEvent, refresh } from "./live.js";
import { toast } from "./toasts.js";

const form = document.getElementById("editor");
const preview = document.getElementById("preview-choice");
const chosen = (name) => form.querySelector(`[name="${name}"]:checked`)?.value;
const labelOf = (input) => form.querySelector(`label[for="${CSS.escape(input.id)}"]`).textContent.trim();

function host(url) {
  try {
    return new URL(url).hostname;
  } catch {
    return "";
  }
}

function moves() {
  const kind = chosen("destination_type");
  if (kind === "smart_list") {
    const select = form.elements.destination_id;
    return select.value ? [`→ ${select.selectedOptions[0].textContent}`] : [];
  }
  if (kind !== "remove_from_smart_list") return [];
  if (chosen("remove_scope") !== "some") return ["removes from all lists"];
  const names = [...form.querySelectorAll("[name=list_ids]:checked")].map(labelOf);
  if (!names.length) return [];
  const more = names.length > 2 ? ` and ${names.length - 2} more` : "";
  return [`removes from ${names.slice(0, 2).join(", ")}${more}`];
}

function show() {
  const type = chosen("outcome_type");
  const url = host(form.elements.webhook_url.value.trim());
  const effects = url ? [...moves(), `calls ${url}`] : moves();
  preview.querySelector("[data-preview=name]").textContent = form.elements.outcome_name.value.trim() || "Name";
  preview.querySelector("[data-preview=effects]").textContent = effects.join(" · ");
  preview.querySelector("[data-preview=about]").textContent = type === "disposition" ? "After the call, to finish it" : "During the call";
  const place = type === "disposition" ? preview.dataset.dispositionKey : preview.dataset.actionKey;
  const key = preview.querySelector("kbd");
  key.hidden = !place;
  key.textContent = place === "10" ? "0" : place;
  const empties = chosen("destination_type") === "remove_from_smart_list" && chosen("remove_scope") !== "some";
  preview.querySelector(".choice").classList.toggle("choice-empties", empties);
}

form.addEventListener("input", show);
form.addEventListener("change", show);
addEventListener("pageshow", show);
show();

document.querySelector("[data-narrows]")?.addEventListener("input", ({ target }) => {
  const wanted = target.value.trim().toLowerCase();
  for (const line of document.getElementById(target.dataset.narrows).children) {
    line.hidden = !line.textContent.toLowerCase().includes(wanted);
  }
});

const elsewhere = document.getElementById("changed-elsewhere");
onEvent(["outcomes.changed"], ({ data }) => {
  if (elsewhere.dataset.outcome && data.outcome_id === elsewhere.dataset.outcome && !form.dataset.sent) elsewhere.hidden = false;
});

const part = document.getElementById("webhook-test");
part?.addEventListener("submit", async (event) => {
  if (!event.target.matches("[data-test]")) return;
  event.preventDefault();
  try {
    // What is typed in the form beside stays as it is.
    part.dataset.url = (await post(event.target.action)).to;
    refresh(part);
  } catch (refused) {
    toast(refused.message, "error");
  }
});
