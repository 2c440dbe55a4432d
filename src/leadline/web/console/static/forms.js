// Forms: sent once, problems focused; data-copy copies; data-filter-now sends a filter when it changes.
import { toast } from "./toasts.js";

// POST fields to a page as its form would; the answer's JSON. Throws Refused with the server's sentence.
export class Refused extends Error {
  constructor(status, data) {
    super(data.message ?? "That did not work.");
    this.status = status;
    this.error = data.error;
    this.details = data.details ?? [];
  }
}

export async function post(path, fields = {}) {
  const body = fields instanceof FormData ? new URLSearchParams(fields) : new URLSearchParams(fields);
  body.set("csrf", document.body.dataset.csrf);
  const answer = await fetch(path, { method: "POST", body, headers: { Accept: "application/json" } });
  const data = await answer.json().catch(() => ({}));
  if (answer.status === 401) location.reload();
  if (!answer.ok) throw new Refused(answer.status, data);
  return data;
}

export async function getJson(path, signal) {
  const answer = await fetch(path, { headers: { Accept: "application/json" }, signal });
  const data = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, data);
  return data;
}

export function setUpForms() {
  // A path that somebody is to be sent is shown with where it is.
  for (const code of document.querySelectorAll("code[data-absolute]")) {
    code.textContent = new URL(code.textContent, location.href).href;
  }
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post") return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "true";
    form.setAttribute("aria-busy", "true");
  });
  // Back from the next page, a form may be sent again.
  addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) {
      delete form.dataset.sent;
      delete form.dataset.confirmed;
      form.removeAttribute("aria-busy");
    }
  });
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    try {
      const text = button.dataset.copy;
      await navigator.clipboard.writeText("absolute" in button.dataset ? new URL(text, location.href).href : text);
      toast("Copied.");
    } catch {
      toast("The browser does not let this page copy.", "error");
    }
  });
  document.addEventListener("change", (event) => {
    event.target.closest("[data-filter-now]")?.form.requestSubmit();
  });
  document.querySelector("main [aria-invalid='true']")?.focus();
}
