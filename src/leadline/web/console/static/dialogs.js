// Native dialogs: data-opens="id" opens one, data-closes closes the one it is in; data-confirm asks before a form is sent.
import { toast } from "./toasts.js";

export function open(dialog) {
  if (!dialog.open) dialog.showModal();
  dialog.dispatchEvent(new CustomEvent("opened"));
}

// Asks a question; resolves to whether the answer was yes.
export function ask(question, label = "Yes") {
  const dialog = document.getElementById("confirm");
  dialog.querySelector(".confirm-text").textContent = question;
  const yes = dialog.querySelector("[data-confirms]");
  yes.textContent = label;
  return new Promise((resolve) => {
    const settle = (answer) => {
      yes.removeEventListener("click", agree);
      dialog.removeEventListener("close", refuse);
      if (dialog.open) dialog.close();
      resolve(answer);
    };
    const agree = () => settle(true);
    const refuse = () => settle(false);
    yes.addEventListener("click", agree);
    dialog.addEventListener("close", refuse);
    dialog.showModal();
  });
}

// The part that it was in may have been fetched again while the question stood: then the form that came in its place.
function asItIsNow(form) {
  if (form.isConnected) return form;
  return [...document.forms].find((each) => each.getAttribute("action") === form.getAttribute("action"));
}

export function setUpDialogs() {
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-opens]");
    if (opener) {
      opener.closest("details.menu")?.removeAttribute("open");
      open(document.getElementById(opener.dataset.opens));
      return;
    }
    event.target.closest("[data-closes]")?.closest("dialog").close();
  });
  // A click beside a dialog closes it, unless it must be answered.
  document.addEventListener("mousedown", (event) => {
    const dialog = event.target;
    if (dialog instanceof HTMLDialogElement && dialog.open && !("required" in dialog.dataset)) {
      const box = dialog.getBoundingClientRect();
      const outside = event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom;
      if (outside) dialog.close();
    }
  });
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.dataset.confirm || form.dataset.confirmed) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const submitter = event.submitter;
    if (!(await ask(form.dataset.confirm, form.dataset.confirmLabel))) return;
    const meant = asItIsNow(form);
    if (!meant) {
      toast("There is nothing left to do: it has changed meanwhile.", "info");
      return;
    }
    meant.dataset.confirmed = "true";
    meant.requestSubmit(submitter?.form === meant ? submitter : undefined);
  }, { capture: true });
  for (const dialog of document.querySelectorAll("dialog[data-open]")) open(dialog);
}
