// The agent's desk. It shows what the server says and nothing else: every event has the block fetched again, and the
// parts of it whose key has changed are put in place. What somebody is typing is never replaced under his fingers.
import { Refused, getJson, post } from "./forms.js";
import { isTyping, onKey, shortcutsAreOn } from "./keys.js";
import { onEvent, onReturn } from "./live.js";
import { clock, showTimes } from "./times.js";
import { toast } from "./toasts.js";
import { drafts } from "./desk-drafts.js";
import { setUpWhom } from "./desk-whom.js";

const root = document.getElementById("desk");
const SOON_MS = 60;
const LOOK_MS = [700, 1500, 3000, 6000, 12000];
let loading = false;
let again = false;
let looks = 0;
let lookTimer = 0;
let serverAhead = 0;
const ownDoing = new Set();
const underWay = new Set();
let line = Promise.resolve();

const part = (name, within = root) => within.querySelector(`[data-part="${name}"]`);
const state = () => document.getElementById("desk-state").dataset;
const dialog = () => document.getElementById("wrap-up");

// One sentence at a time: the page itself shows what happened before.
let said = null;
function say(text, kind) {
  said?.remove();
  said = toast(text, kind);
}

// ── What the server says ────────────────────────────────────────
async function load() {
  if (loading) {
    again = true;
    return;
  }
  loading = true;
  try {
    const answer = await fetch(root.dataset.url, { headers: { "Leadline-Fragment": "desk" } });
    if (answer.status === 401) location.reload();
    if (answer.ok) merge(await answer.text());
  } catch {
    // The server is away; the stream's return loads again.
  } finally {
    loading = false;
    if (again) {
      again = false;
      load();
    }
  }
}

let soon = 0;
function loadSoon() {
  clearTimeout(soon);
  soon = setTimeout(load, SOON_MS);
}

function merge(html) {
  const fresh = document.createElement("template");
  fresh.innerHTML = html;
  const asked = dialog()?.dataset.call;
  document.getElementById("desk-state").replaceWith(fresh.content.getElementById("desk-state"));
  for (const each of fresh.content.querySelectorAll("[data-part]")) {
    // A part within one that was put in place as a whole is there already.
    if (fresh.content.contains(each)) mergePart(each);
  }
  afterMerge(asked);
}

function mergePart(fresh) {
  const old = part(fresh.dataset.part);
  if (!old || old.dataset.key === fresh.dataset.key) return;
  const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
  const typed = drafts.take(old);
  old.replaceWith(fresh);
  drafts.give(fresh, typed);
  showTimes(fresh);
  if (focused) document.getElementById(focused)?.focus();
  fresh.dispatchEvent(new CustomEvent("fragment", { bubbles: true }));
}

function afterMerge(asked) {
  drafts.moved();
  refine();
  if (asked && dialog()?.dataset.call !== asked) {
    tellFate(asked);
    if (!dialog()) document.getElementById("main").focus();
  }
  lookAgain();
}

// After every merge, and once at the start.
function refine() {
  serverAhead = Number(state().now) - Date.now();
  document.title = `${state().title || "Agent desk"} · Leadline`;
  showClocks();
  showCountdown();
  const asking = dialog();
  if (asking && !asking.matches(":modal")) {
    asking.removeAttribute("open");
    asking.showModal();
    (asking.querySelector("input[type=radio]:checked") ?? asking.querySelector("input[type=radio]") ?? asking).focus();
  }
}

// While a webhook is on its way there is nothing to hear of it until it has arrived or failed: look.
function lookAgain() {
  clearTimeout(lookTimer);
  if (!state().sending) {
    looks = 0;
    return;
  }
  lookTimer = setTimeout(load, LOOK_MS[Math.min(looks++, LOOK_MS.length - 1)]);
}

async function tellFate(callId) {
  if (ownDoing.delete(callId)) return;
  try {
    const { text } = await getJson(`/desk/calls/${callId}/fate`);
    if (text) say(text, "info");
  } catch {
    say("The call was closed.", "info");
  }
}

// ── Clocks ──────────────────────────────────────────────────────
function showClocks() {
  for (const each of root.querySelectorAll("[data-clock]")) {
    each.textContent = new Date(each.dataset.clock).toLocaleTimeString("en-GB");
  }
}

function inWords(milliseconds) {
  const seconds = Math.ceil(milliseconds / 1000);
  if (seconds <= 0) return "now";
  if (seconds < 90) return `in ${seconds} s`;
  return seconds < 5400 ? `in ${Math.round(seconds / 60)} min` : `in ${Math.round(seconds / 3600)} h`;
}

function showCountdown() {
  for (const each of root.querySelectorAll("time[data-retry]")) {
    each.textContent = inWords(Date.parse(each.dateTime) - Date.now() - serverAhead);
  }
  const left = root.querySelector("[data-until]");
  if (!left) return;
  const milliseconds = Number(left.dataset.until) - Date.now() - serverAhead;
  left.textContent = clock(milliseconds);
  left.closest(".closes").classList.toggle("closes-soon", milliseconds < 30_000);
}

// ── What the agent does ─────────────────────────────────────────
// One after the other, in the order of the keys: nothing that was pressed is lost, and nothing is sent twice.
function send(form, submitter) {
  const key = `${form.action} ${submitter?.value ?? ""}`;
  if (underWay.has(key)) return;
  underWay.add(key);
  submitter?.setAttribute("aria-busy", "true");
  line = line.then(() => carryOut(form, submitter)).finally(() => {
    underWay.delete(key);
    delete form.dataset.confirmed;
    submitter?.removeAttribute("aria-busy");
  });
}

async function carryOut(form, submitter) {
  const asked = dialog()?.dataset.call;
  if (form.dataset.desk === "finish") ownDoing.add(asked);
  await drafts.stop(form);
  const fields = new FormData(form);
  if (submitter?.name) fields.set(submitter.name, submitter.value);
  fields.set("scripted", "1");
  try {
    const { text } = await post(form.action, fields);
    succeeded(form, fields, text);
  } catch (refused) {
    ownDoing.delete(asked);
    failed(form, refused);
  }
}

function succeeded(form, fields, text) {
  if (text) say(text);
  drafts.forget(form);
  const note = form.querySelector("#note");
  // What was typed since it was sent belongs to the next one.
  if (note && note.value === fields.get("note").replaceAll("\r\n", "\n")) {
    note.value = "";
  } else if (note) {
    drafts.start(form);
  }
  looks = 0;
  load();
}

function failed(form, refused) {
  const known = refused instanceof Refused;
  const detail = known ? refused.details[0] : null;
  const said = detail ? `${detail.message[0].toUpperCase()}${detail.message.slice(1)}.` : refused.message;
  const text = known ? said : "The server cannot be reached. What you typed is kept here; try again.";
  if (form.dataset.desk === "finish" && form.isConnected) {
    showProblem(text);
  } else {
    say(text, "error");
  }
  // Before the page changes: when the call has ended meanwhile, what was typed moves to where it is asked about.
  drafts.start(form);
  load();
}

function showProblem(text) {
  const problem = document.getElementById("wrap-up-problem");
  problem.textContent = text;
  problem.hidden = !text;
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.dataset.desk) return;
  event.preventDefault();
  if (form.dataset.desk === "finish" && !form.querySelector("input[name=outcome_id]:checked")) {
    showProblem("Choose one outcome to finish this call.");
    form.querySelector("input[type=radio]")?.focus();
    return;
  }
  send(form, event.submitter);
}, { capture: true });

root?.addEventListener("click", (event) => {
  if (event.target.closest(".choice-applied")) say("It was applied on this call before; nothing was done again.", "info");
});

// ── The dialog that must be answered ────────────────────────────
document.addEventListener("cancel", (event) => {
  if (event.target === dialog()) event.preventDefault();
}, { capture: true });
document.addEventListener("close", (event) => {
  // A browser lets Escape through when it is pressed often enough.
  if (event.target === dialog() && event.target.isConnected) refine();
}, { capture: true });
document.addEventListener("keydown", (event) => {
  const asking = dialog();
  if (event.key === "Escape" && event.target.matches("[data-draft]")) leaveNote(event.target);
  if (!asking) return;
  if (event.key === "Escape") event.preventDefault();
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && asking.contains(event.target)) {
    event.preventDefault();
    asking.querySelector("form").requestSubmit(asking.querySelector("button:not([type=button])"));
  }
}, { capture: true });

// Out of the note, so that single keys are keys again.
function leaveNote(note) {
  note.blur();
  const asking = dialog();
  (asking ? asking.querySelector("input[type=radio]:checked") ?? asking.querySelector("input[type=radio]") : document.getElementById("main"))?.focus();
}

document.addEventListener("change", (event) => {
  if (event.target.matches("#wrap-up input[type=radio]")) showProblem("");
});

// ── Keys ────────────────────────────────────────────────────────
function pressDigit(key) {
  const asking = dialog();
  const target = (asking ?? root).querySelector(`[data-digit="${key}"]`);
  if (!target || target.disabled) return;
  if (asking) {
    target.click();
    target.focus();
    target.scrollIntoView({ block: "nearest" });
  } else {
    target.click();
  }
}

function setUpKeys() {
  const press = (id) => document.getElementById(id)?.click();
  for (const key of "1234567890") onKey(key, () => pressDigit(key));
  onKey("n", () => document.getElementById("note")?.focus());
  onKey("e", () => press("end-call"));
  onKey("a", () => press("answer-call"));
  onKey("t", () => document.getElementById("whom")?.focus());
  // Within the dialog, which is another element each time: onKey knows only one.
  document.addEventListener("keydown", (event) => {
    const asking = dialog();
    if (!asking || !asking.contains(event.target) || event.defaultPrevented || event.repeat) return;
    if (event.ctrlKey || event.metaKey || event.altKey || !shortcutsAreOn() || isTyping(event.target)) return;
    if (/^[0-9]$/.test(event.key)) pressDigit(event.key);
    else if (event.key === "n") document.getElementById("wrap-up-note").focus();
    else if (event.key === "/") document.getElementById("find-disposition")?.focus();
    else return;
    event.preventDefault();
  });
}

// ── Finding among many ──────────────────────────────────────────
function setUpFinding() {
  const entries = (field) => [...document.getElementById(field.dataset.finds).querySelectorAll(".choice, .option")];
  const find = (field) => {
    const wanted = field.value.trim().toLowerCase();
    let shown = 0;
    for (const entry of entries(field)) {
      entry.hidden = !entry.querySelector(".choice-name").textContent.toLowerCase().includes(wanted);
      if (!entry.hidden) shown += 1;
    }
    document.getElementById(`${field.dataset.finds}-none`).hidden = shown > 0;
  };
  document.addEventListener("input", (event) => { if (event.target.dataset.finds) find(event.target); });
  document.addEventListener("fragment", () => document.querySelectorAll("[data-finds]").forEach((field) => { if (field.value) find(field); }));
  document.addEventListener("keydown", (event) => {
    if (!event.target.dataset?.finds || event.key !== "Enter" || event.ctrlKey) return;
    event.preventDefault();
    const first = entries(event.target).find((entry) => !entry.hidden);
    (first?.querySelector("input") ?? first)?.focus();
  });
}

// ── What happens elsewhere ──────────────────────────────────────
function listen() {
  const ours = (event) => event.data.agent_id === root.dataset.agent;
  onEvent(["call.started", "call.answered", "call.ended", "call.closed", "outcome.applied"], (event) => { if (ours(event)) loadSoon(); });
  onEvent(["delivery.succeeded", "delivery.failed"], (event) => { if (part("stage").dataset.key.includes(event.data.call_id)) loadSoon(); });
  onEvent(["outcomes.changed", "endpoint.disabled"], loadSoon);
  onReturn(load);
  // Out of the browser's memory the page is as it was when it was left.
  addEventListener("pageshow", (event) => { if (event.persisted) load(); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) load(); });
}

if (root) {
  drafts.setUp({ onClosed: load });
  setUpKeys();
  setUpFinding();
  setUpWhom();
  refine();
  lookAgain();
  listen();
  setInterval(showCountdown, 1000);
}
