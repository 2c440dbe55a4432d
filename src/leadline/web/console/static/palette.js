// Ctrl K: pages at once, and what the server finds. Arrows move, Enter opens.
import { getJson } from "./forms.js";

const WAIT_MS = 120;
let request = null;
let timer = 0;

const dialog = () => document.getElementById("palette");
const input = () => document.getElementById("palette-text");
const results = () => document.getElementById("palette-results");

function pages(text) {
  const wanted = text.toLowerCase();
  return [...document.querySelectorAll(".side a"), ...document.querySelectorAll(".menu-items a")]
    .filter((link) => link.textContent.trim().toLowerCase().includes(wanted))
    .map((link) => ({ title: link.textContent.trim(), url: link.getAttribute("href"), about: "" }));
}

function line(found) {
  const option = document.createElement("a");
  option.setAttribute("role", "option");
  option.tabIndex = -1;
  option.href = found.url;
  const title = document.createElement("span");
  title.textContent = found.title;
  option.append(title);
  if (found.about) {
    const about = document.createElement("span");
    about.className = "hint";
    about.textContent = found.about;
    option.append(about);
  }
  return option;
}

function show(groups) {
  const box = results();
  box.replaceChildren();
  for (const [name, entries] of groups) {
    if (!entries.length) continue;
    const part = document.createElement("div");
    part.setAttribute("role", "group");
    part.setAttribute("aria-label", name);
    const head = document.createElement("div");
    head.className = "group";
    head.setAttribute("aria-hidden", "true");
    head.textContent = name;
    part.append(head, ...entries.map(line));
    box.append(part);
  }
  const options = all();
  options.forEach((option, number) => { option.id = `palette-option-${number}`; });
  if (!options.length) {
    const nothing = document.createElement("div");
    nothing.setAttribute("role", "option");
    nothing.setAttribute("aria-disabled", "true");
    nothing.className = "quiet";
    nothing.textContent = "Nothing found.";
    box.append(nothing);
  }
  select(options[0]);
}

function all() {
  return [...results().querySelectorAll("a[role=option]")];
}

function select(option) {
  for (const each of all()) each.setAttribute("aria-selected", String(each === option));
  option?.scrollIntoView({ block: "nearest" });
  if (option) input().setAttribute("aria-activedescendant", option.id);
  else input().removeAttribute("aria-activedescendant");
}

function move(by) {
  const options = all();
  const now = options.findIndex((each) => each.getAttribute("aria-selected") === "true");
  if (options.length) select(options[(now + by + options.length) % options.length]);
}

async function search() {
  const text = input().value.trim();
  show([["Pages", pages(text)]]);
  request?.abort();
  request = new AbortController();
  try {
    const { groups } = await getJson(`/search?q=${encodeURIComponent(text)}`, request.signal);
    show([["Pages", pages(text)], ...groups.map(({ name, entries }) => [name, entries])]);
  } catch {
    // Overtaken by the next key, or the server is away: the pages are there all the same.
  }
}

export function openPalette() {
  if (document.querySelector("dialog[open]")) return;
  dialog().showModal();
  begin();
}

function begin() {
  input().value = "";
  input().focus();
  search();
}

export function setUpPalette() {
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      openPalette();
    }
  });
  dialog().addEventListener("opened", begin);
  input().addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(search, WAIT_MS);
  });
  input().addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") move(1);
    else if (event.key === "ArrowUp") move(-1);
    else if (event.key === "Enter") all().find((each) => each.getAttribute("aria-selected") === "true")?.click();
    else return;
    event.preventDefault();
  });
}
