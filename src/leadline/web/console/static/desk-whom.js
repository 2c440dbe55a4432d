// Whom to call: while somebody types, the contacts that fit. Arrows choose, Enter takes; without a choice the text is sent.
import { getJson } from "./forms.js";

const WAIT_MS = 150;
let timer = 0;
let request = null;

const field = () => document.getElementById("whom");
const box = () => document.getElementById("whom-results");
const options = () => [...box().querySelectorAll("[role=option]")];

function close() {
  box().hidden = true;
  box().replaceChildren();
  field().setAttribute("aria-expanded", "false");
  field().removeAttribute("aria-activedescendant");
}

function option({ contact_id: contactId, name, number }, index) {
  const line = document.createElement("div");
  line.id = `whom-option-${index}`;
  line.setAttribute("role", "option");
  line.setAttribute("aria-selected", "false");
  line.dataset.contact = contactId;
  line.dataset.name = name;
  const title = document.createElement("span");
  title.textContent = name;
  const about = document.createElement("span");
  about.className = "quiet";
  about.textContent = number;
  line.append(title, about);
  return line;
}

async function find() {
  request?.abort();
  request = new AbortController();
  const text = field().value.trim();
  if (!text) {
    close();
    return;
  }
  try {
    const found = await getJson(`/desk/contacts?q=${encodeURIComponent(text)}`, request.signal);
    if (!field()) return;
    box().replaceChildren(...found.map(option));
    box().hidden = !found.length;
    field().setAttribute("aria-expanded", String(found.length > 0));
    field().removeAttribute("aria-activedescendant");
  } catch {
    // Overtaken by the next key, or the server is away: the text can be sent all the same.
  }
}

function select(wanted) {
  for (const each of options()) each.setAttribute("aria-selected", String(each === wanted));
  field().setAttribute("aria-activedescendant", wanted.id);
  wanted.scrollIntoView({ block: "nearest" });
}

function take(chosen) {
  document.getElementById("contact_id").value = chosen.dataset.contact;
  field().value = chosen.dataset.name;
  close();
}

function move(by) {
  const all = options();
  if (!all.length) return;
  const now = all.findIndex((each) => each.getAttribute("aria-selected") === "true");
  select(all[(now + by + all.length) % all.length] ?? all[0]);
}

export function setUpWhom() {
  const dress = () => {
    if (!field() || field().getAttribute("role")) return;
    field().setAttribute("role", "combobox");
    field().setAttribute("aria-autocomplete", "list");
    field().setAttribute("aria-controls", "whom-results");
    field().setAttribute("aria-expanded", "false");
  };
  dress();
  document.addEventListener("fragment", dress);
  document.addEventListener("input", (event) => {
    if (event.target.id !== "whom") return;
    document.getElementById("contact_id").value = "";
    clearTimeout(timer);
    timer = setTimeout(() => { if (field()) find(); }, WAIT_MS);
  });
  document.addEventListener("keydown", (event) => {
    if (event.target.id !== "whom") return;
    const chosen = options().find((each) => each.getAttribute("aria-selected") === "true");
    if (event.key === "ArrowDown") move(1);
    else if (event.key === "ArrowUp") move(-1);
    else if (event.key === "Enter" && chosen) take(chosen);
    else if (event.key === "Escape" && !box().hidden) close();
    else return;
    event.preventDefault();
  });
  document.addEventListener("mousedown", (event) => {
    if (!field()) return;
    const chosen = event.target.closest("#whom-results [role=option]");
    if (chosen) {
      event.preventDefault();
      take(chosen);
    } else if (event.target !== field()) {
      close();
    }
  });
}
