// Pages of Smart Lists and contacts: keys that name what they open, and lines of attributes added and taken away.
import { onKey } from "./keys.js";

// data-page-key="n": the key clicks a link or a button, or goes to a field.
for (const target of document.querySelectorAll("[data-page-key]")) {
  onKey(target.dataset.pageKey, () => {
    if (target instanceof HTMLInputElement) target.focus();
    else target.click();
  });
}

const rows = document.getElementById("attributes");

function number(row, at) {
  for (const each of row.querySelectorAll("[aria-label]")) {
    each.setAttribute("aria-label", each.getAttribute("aria-label").replace(/\d+$/, String(at)));
  }
}

function numberAll() {
  [...rows.children].forEach((row, index) => number(row, index + 1));
}

function emptied(row) {
  for (const field of row.querySelectorAll("input, textarea")) {
    field.value = "";
    field.removeAttribute("aria-invalid");
  }
  row.querySelector("select").selectedIndex = 0;
  row.querySelector(".problem")?.remove();
  return row;
}

if (rows) {
  const add = document.getElementById("add-attribute");
  add.hidden = false;
  for (const button of rows.querySelectorAll("[data-removes-row]")) button.hidden = false;
  add.addEventListener("click", () => {
    const row = emptied(rows.lastElementChild.cloneNode(true));
    rows.append(row);
    numberAll();
    row.querySelector("input").focus();
  });
  rows.addEventListener("click", (event) => {
    const row = event.target.closest("[data-removes-row]")?.closest(".attribute-row");
    if (!row) return;
    if (rows.children.length === 1) {
      emptied(row);
      return;
    }
    const next = row.nextElementSibling ?? row.previousElementSibling;
    row.remove();
    numberAll();
    next.querySelector("input").focus();
  });
}
