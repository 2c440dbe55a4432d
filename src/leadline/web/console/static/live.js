// Live updates. One event stream for all tabs (a shared worker holds it; without one, the tab that has the lock).
// What carries data-live="types" and data-fragment="block" is fetched again, as HTML, when such an event happens.

const listeners = new Set();
// What the server sent for each part, before scripts touched it.
const asSent = new WeakMap();
for (const part of document.querySelectorAll("[data-fragment]")) asSent.set(part, part.innerHTML.trim());
const WAIT_MS = 120;
// An event is made a moment before it can be seen: so much earlier than its page it may have been and yet not be on it.
const MARGIN_MS = 2_000;

// `handler(event)` for events of these types; an event has `event_id`, `type`, `at`, `data`. Returns a function that ends it.
export function onEvent(types, handler) {
  const entry = { types: new Set(types), handler };
  listeners.add(entry);
  return () => listeners.delete(entry);
}

// `handler()` after the connection was away: whatever happened meanwhile may have been missed.
export function onReturn(handler) {
  return onEvent(["leadline.returned"], handler);
}

// What is on the screen in this part is not what the server sent last: it will be put in place whatever comes.
export function changed(part) {
  asSent.delete(part);
}

// A page that was shown once answers with where to go instead, which is none of its parts.
const isPage = (answer) => answer.ok && (answer.headers.get("content-type") ?? "").startsWith("text/html");

// Fetch a block of this page again and put it in place; what is focused within it stays focused (by its id).
export async function refresh(part) {
  if (part.dataset.loading) {
    part.dataset.again = "true";
    return;
  }
  part.dataset.loading = "true";
  try {
    const address = part.dataset.url ?? document.body.dataset.url ?? location.href;
    const answer = await fetch(address, { headers: { "Leadline-Fragment": part.dataset.fragment } });
    if (answer.status === 401) location.reload();
    const html = isPage(answer) ? await answer.text() : null;
    // Who took something in hand while it was fetched keeps what he has before him.
    if (html !== null && !("paused" in part.dataset)) place(part, html);
  } catch {
    // The server is away; the stream's return refreshes everything.
  } finally {
    delete part.dataset.loading;
    if (part.dataset.again) {
      delete part.dataset.again;
      refresh(part);
    }
  }
}

// What somebody entered and no server has had yet stays: each field that is not as it was sent.
function enteredIn(part) {
  return [...part.querySelectorAll("input:not([type=file]), select, textarea")].filter(isEntered).map((field) => {
    const ofMany = ["radio", "checkbox"].includes(field.type) ? `[value="${CSS.escape(field.value)}"]` : "";
    const path = field.id ? `#${CSS.escape(field.id)}` : `[name="${CSS.escape(field.name)}"]${ofMany}`;
    return { path, value: field.value, checked: field.checked };
  });
}

function isEntered(field) {
  if (field.localName === "select") {
    const sent = [...field.options].find((option) => option.defaultSelected) ?? field.options[0];
    return field.value !== (sent?.value ?? "");
  }
  return field.value !== field.defaultValue || Boolean(field.checked) !== Boolean(field.defaultChecked);
}

function place(part, html) {
  const fresh = document.createElement("template");
  fresh.innerHTML = html;
  // Who is in the middle of something is not disturbed for nothing.
  if (asSent.get(part) === fresh.innerHTML.trim()) return;
  asSent.set(part, fresh.innerHTML.trim());
  const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
  // As it is at this moment: somebody may have gone on while it was fetched.
  const entered = enteredIn(part);
  part.innerHTML = html;
  for (const { path, value, checked } of entered) {
    const field = part.querySelector(path);
    // What was chosen may not be there to choose any more.
    if (!field || (field.options && ![...field.options].some((option) => option.value === value))) continue;
    field.value = value;
    field.checked = checked;
  }
  if (focused) document.getElementById(focused)?.focus();
  part.dispatchEvent(new CustomEvent("fragment", { bubbles: true }));
}

function tell(event) {
  for (const { types, handler } of [...listeners]) {
    if (types.has(event.type) || types.has("*")) handler(event);
  }
}

const waiting = new Map();

function refreshSoon(part) {
  if (waiting.has(part)) return;
  waiting.set(part, setTimeout(() => {
    waiting.delete(part);
    if (part.isConnected && !("paused" in part.dataset)) refresh(part);
  }, WAIT_MS));
}

function refreshParts(event) {
  for (const part of document.querySelectorAll("[data-live][data-fragment]")) {
    const types = part.dataset.live.split(" ");
    if (event.type === "leadline.returned" || types.includes(event.type)) refreshSoon(part);
  }
}

export function setUpLive() {
  onEvent(["*"], refreshParts);
  const url = document.body.dataset.worker;
  if ("SharedWorker" in window) {
    const worker = new SharedWorker(url, { name: "leadline-live" });
    worker.port.onmessage = ({ data }) => receive(data);
    worker.port.start();
    worker.port.postMessage({ since: since() });
    // A worker cannot see that a tab has closed unless it is told.
    addEventListener("pagehide", () => worker.port.postMessage("bye"));
    // Out of the browser's cache a page may be of any age.
    addEventListener("pageshow", (event) => {
      if (!event.persisted) return;
      worker.port.postMessage({ since: since() });
      tell({ type: "leadline.returned", data: {} });
    });
  } else {
    shareByChannel();
  }
}

// From when on this page has to be told what happens.
const since = () => Number(document.body.dataset.cameAt) - MARGIN_MS;

function receive(message) {
  document.documentElement.dataset.live = message.state;
  // Signed out elsewhere: what is on the screen goes, and whoever comes back signs in.
  if (message.state === "ended") location.reload();
  if (message.event) tell(message.event);
  if (message.returned) tell({ type: "leadline.returned", data: {} });
}

// Without shared workers: the tab that holds the lock reads the stream and tells the others.
async function shareByChannel() {
  const channel = new BroadcastChannel("leadline-live");
  // How the stream is, when it is this tab that reads it: who comes later asks.
  let state = null;
  channel.onmessage = ({ data }) => {
    if (!data.asks) receive(data);
    else if (state) channel.postMessage({ state });
  };
  channel.postMessage({ asks: true });
  // What another tab was told before this one listened.
  tell({ type: "leadline.returned", data: {} });
  if (!navigator.locks) return;
  const { follow } = await import("./stream.js");
  navigator.locks.request("leadline-live", () => new Promise(() => {
    follow((message) => {
      state = message.state;
      channel.postMessage(message);
      receive(message);
    }, since());
  }));
}
