// Keys. A page registers its own with `onKey`; single keys are off while somebody types, or when the user has switched them off.

const handlers = new Map();
let prefix = "";
let prefixTimer = 0;

export function shortcutsAreOn() {
  return document.body.dataset.shortcuts === "on";
}

// `handler(event)` for a single key such as "1" or "e"; its description goes into the template's {% block keys %}.
// Does not act while a dialog is open, unless `within` is that dialog. Returns a function that ends it.
export function onKey(key, handler, { within = null } = {}) {
  const entry = { handler, within };
  const list = handlers.get(key) ?? [];
  list.push(entry);
  handlers.set(key, list);
  return () => list.splice(list.indexOf(entry), 1);
}

export function isTyping(target) {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable) return true;
  if (target instanceof HTMLInputElement) return !["checkbox", "radio", "button", "submit"].includes(target.type);
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}

function openDialog() {
  return document.querySelector("dialog[open]");
}

function goTo(key) {
  const link = document.querySelector(`.side a[data-key="${CSS.escape(key)}"]`);
  if (link) link.click();
  return Boolean(link);
}

export function setUpKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (!shortcutsAreOn() || isTyping(event.target)) return;
    const key = event.key;
    const dialog = openDialog();
    if (prefix === "g" && !dialog) {
      prefix = "";
      if (goTo(key)) event.preventDefault();
      return;
    }
    for (const entry of [...(handlers.get(key) ?? [])].reverse()) {
      if (dialog !== entry.within) continue;
      event.preventDefault();
      entry.handler(event);
      return;
    }
    if (dialog) return;
    if (key === "?") {
      event.preventDefault();
      document.getElementById("help").showModal();
    } else if (key === "g") {
      prefix = "g";
      clearTimeout(prefixTimer);
      prefixTimer = setTimeout(() => { prefix = ""; }, 1500);
    } else if (key === "/") {
      const search = document.querySelector("main input[type=search]");
      if (search) {
        event.preventDefault();
        search.focus();
      }
    }
  });
}
