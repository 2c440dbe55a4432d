// Deliveries: the list that follows along, the drawer beside it, retry and cancel in place, replays that count.
import { changed, onEvent, onReturn, refresh } from "./live.js";
import { onKey } from "./keys.js";
import { getJson, post, Refused } from "./forms.js";
import { ask, open } from "./dialogs.js";
import { showTimes } from "./times.js";
import { toast } from "./toasts.js";
import "./local-times.js";
import "./rows.js";

const list = document.getElementById("list");
const split = document.getElementById("split");
const drawer = document.getElementById("drawer");
const tail = document.getElementById("tail");
const WAIT_MS = 250;

// ── The list ────────────────────────────────────────────────────
// Rows that are there are kept true always. New ones come by themselves only with the live tail, and not while somebody reads.
let waiting = 0;
let held = null;

function isReading() {
  return list.matches(":hover") || list.contains(document.activeElement) || Boolean(drawer?.querySelector("[data-delivery]"));
}

async function fetchRows() {
  const answer = await fetch(location.href, { headers: { "Leadline-Fragment": "rows" } });
  if (answer.status === 401) location.reload();
  if (!answer.ok) return null;
  const box = document.createElement("template");
  box.innerHTML = await answer.text();
  return box.content;
}

function swapKnown(fresh) {
  for (const row of list.querySelectorAll("[data-row]")) {
    const now = fresh.getElementById(row.id);
    if (!now || now.isEqualNode(row)) continue;
    const focused = row.contains(document.activeElement);
    const placed = row.cloneNode(false);
    placed.innerHTML = now.innerHTML;
    row.replaceWith(placed);
    if (focused) placed.querySelector(".row-link")?.focus();
    showTimes(placed);
  }
  markOpen();
}

function placeAll(fresh) {
  const known = new Set([...list.querySelectorAll("[data-row]")].map((row) => row.id));
  const had = known.size > 0;
  list.replaceChildren(fresh);
  held = null;
  for (const row of list.querySelectorAll("[data-row]")) row.classList.toggle("arrived", had && !known.has(row.id));
  showTimes(list);
  markOpen();
}

async function update() {
  const fresh = await fetchRows().catch(() => null);
  if (!fresh) return;
  const first = new URLSearchParams(location.search).get("cursor") === null;
  const known = new Set([...list.querySelectorAll("[data-row]")].map((row) => row.id));
  const arrived = [...fresh.querySelectorAll("[data-row]")].filter((row) => !known.has(row.id)).length;
  const follows = tail?.checked && first;
  if (follows && !isReading()) {
    placeAll(fresh);
    return;
  }
  swapKnown(fresh);
  if (!first || !arrived) return;
  held = fresh;
  const newer = list.querySelector("[data-newer]");
  newer.textContent = `${follows ? "Paused while you read: " : ""}${arrived} new. Show`;
  newer.hidden = false;
}

function updateSoon() {
  if (waiting) return;
  waiting = setTimeout(() => {
    waiting = 0;
    update();
  }, WAIT_MS);
}

if (list && tail) {
  onEvent(["outcome.applied", "delivery.succeeded", "delivery.failed"], updateSoon);
  onReturn(updateSoon);
  list.addEventListener("click", (event) => {
    if (event.target.closest("[data-newer]") && held) placeAll(held);
  });
  // Whoever has stopped reading sees what came meanwhile.
  list.addEventListener("mouseleave", () => { if (tail.checked && held) updateSoon(); });
  tail.addEventListener("change", () => {
    const url = new URL(location.href);
    if (tail.checked) url.searchParams.set("tail", "1");
    else url.searchParams.delete("tail");
    history.replaceState(null, "", url);
    if (tail.checked) updateSoon();
  });
  onKey("t", () => tail.click());
}

// ── The drawer ──────────────────────────────────────────────────
const opened = () => new URLSearchParams(location.search).get("open");

function markOpen() {
  const id = opened();
  split?.classList.toggle("split-open", Boolean(id));
  for (const row of document.querySelectorAll("[data-row]")) {
    const isOpen = row.dataset.row === id;
    row.classList.toggle("selected", isOpen);
    const link = row.querySelector(".row-link");
    if (isOpen) link?.setAttribute("aria-current", "true");
    else link?.removeAttribute("aria-current");
  }
}

async function show(url) {
  history.pushState(null, "", url);
  await shownAgain();
}

async function shownAgain() {
  changed(drawer);
  markOpen();
  if (!opened()) {
    drawer.replaceChildren();
    return;
  }
  if (!drawer.firstElementChild) drawer.innerHTML = '<p class="loading" role="status"><span class="spinner" aria-hidden="true"></span>Loading…</p>';
  await refresh(drawer);
}

if (split) {
  split.addEventListener("click", (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
    const close = event.target.closest("[data-closes-drawer]");
    const row = event.target.closest("[data-row]");
    if (!close && !row) return;
    const link = close ?? row.querySelector(".row-link");
    if (event.target.closest("a") && event.target.closest("a") !== link) return;
    event.preventDefault();
    const from = opened();
    show(close ? withOpen(null) : withOpen(row.dataset.row)).then(() => {
      if (close) document.getElementById(`row-${from}`)?.querySelector(".row-link").focus();
    });
  });
  addEventListener("popstate", shownAgain);
  onKey("x", () => document.querySelector("[data-closes-drawer]")?.click());
}

function withOpen(id) {
  const url = new URL(location.href);
  if (id) url.searchParams.set("open", id);
  else url.searchParams.delete("open");
  return url;
}

// Attempts that somebody has opened or closed stay so when the delivery is fetched again.
const toggled = new Map();
drawer?.addEventListener("click", (event) => {
  const summary = event.target.closest("details.attempt > summary");
  if (summary) toggled.set(keyOf(summary.parentElement), !summary.parentElement.open);
});
drawer?.addEventListener("fragment", () => {
  for (const each of drawer.querySelectorAll("details.attempt")) {
    const wanted = toggled.get(keyOf(each));
    if (wanted !== undefined) each.open = wanted;
  }
});
const keyOf = (details) => `${drawer.querySelector("[data-delivery]")?.dataset.delivery} ${details.id}`;

// ── Retry, cancel ───────────────────────────────────────────────
async function act(path) {
  try {
    toast((await post(path, { scripted: "1" })).text);
  } catch (refused) {
    toast(refused instanceof Refused ? refused.message : "The server cannot be reached.", "error");
  }
  if (drawer?.querySelector("[data-delivery]")) refresh(drawer);
  if (list && tail) updateSoon();
}

// On the window: the question, if there is one, has been asked and answered by then.
addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.dataset.action || event.defaultPrevented) return;
  event.preventDefault();
  delete form.dataset.sent;
  delete form.dataset.confirmed;
  form.removeAttribute("aria-busy");
  act(form.getAttribute("action"));
});

onKey("r", async () => {
  const button = drawer?.querySelector("form[data-action=retry] button");
  const row = document.activeElement?.closest("[data-row]");
  if (row && row.dataset.row !== opened()) {
    if (await ask("Send this delivery again?", "Retry")) act(`/deliveries/${row.dataset.row}/retry`);
  } else button?.click();
});

// ── Replays ─────────────────────────────────────────────────────
const replay = document.querySelector("form[data-replay]");
if (replay) {
  const count = replay.querySelector("[data-count]");
  let asked = null;
  const preview = async () => {
    asked?.abort();
    asked = new AbortController();
    const fields = new URLSearchParams(new FormData(replay));
    fields.delete("csrf");
    if (!fields.get("since")) {
      count.textContent = "";
      return;
    }
    try {
      count.textContent = (await getJson(`/deliveries/replays/preview?${fields}`, asked.signal)).text;
    } catch (wrong) {
      if (wrong instanceof Refused) count.textContent = wrong.details.map((each) => `${each.field} ${each.message}`).join("; ");
    }
  };
  replay.addEventListener("change", preview);
  replay.closest("dialog").addEventListener("opened", preview);
  if (location.hash === "#replay") open(replay.closest("dialog"));
}

setInterval(() => {
  for (const part of document.querySelectorAll("[data-polls]")) {
    if (part.querySelector("[data-running]")) refresh(part);
  }
}, 700);
