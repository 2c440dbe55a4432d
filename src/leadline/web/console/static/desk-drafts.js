// Drafts: what is typed and chosen for a call is kept on the server as it is typed, and here while the server is away.
import { Refused, post } from "./forms.js";

const WAIT_MS = 400;
const RETRY_MS = 3000;
// So long what was sent on the way out may still be on its way, and the page that comes next be without it.
const LEFT_MS = 10_000;
let timer = 0;
// The note with something that the server has not been told yet; it may have been replaced on the page meanwhile.
let dirty = null;
let sending = null;
let onClosed = () => {};

const kept = (path) => `leadline-draft ${path}`;

function fieldsOf(note) {
  const fields = { note: note.value };
  const choice = note.form.querySelector("input[name=outcome_id][type=radio]");
  if (choice) fields.outcome_id = note.form.querySelector("input[name=outcome_id]:checked")?.value ?? "";
  return fields;
}

function say(note, text) {
  const line = note.form.querySelector("#draft-state");
  if (line && line.textContent !== text) line.textContent = text;
}

function schedule(note, wait = WAIT_MS) {
  clearTimeout(timer);
  dirty = note;
  timer = setTimeout(() => save(note), wait);
}

async function save(note) {
  if (sending) {
    schedule(note);
    return;
  }
  clearTimeout(timer);
  timer = 0;
  const path = note.dataset.draft;
  const fields = fieldsOf(note);
  try {
    sending = post(path, fields);
    await sending;
    sessionStorage.removeItem(kept(path));
    if (!timer) dirty = null;
    say(note, "Draft saved");
  } catch (refused) {
    if (refused instanceof Refused) {
      if (!timer) dirty = null;
      say(note, refused.message);
      if (refused.status === 404 || refused.status === 409) onClosed();
    } else {
      sessionStorage.setItem(kept(path), JSON.stringify(fields));
      say(note, "Not saved yet: the server cannot be reached");
      schedule(note, RETRY_MS);
    }
  } finally {
    sending = null;
  }
}

function fill(form, { note, outcome_id: outcomeId }) {
  form.querySelector("[data-draft]").value = note;
  const choice = outcomeId ? form.querySelector(`input[type=radio][value="${CSS.escape(outcomeId)}"]`) : null;
  if (choice) choice.checked = true;
}

// A page that goes before the timer: the browser sends this on its way out. One that is loaded again may be asked for
// before that has arrived, and finds it here.
function saveNow() {
  const note = dirty;
  if (!note) return;
  clearTimeout(timer);
  timer = 0;
  const fields = fieldsOf(note);
  const body = new URLSearchParams({ ...fields, csrf: document.body.dataset.csrf });
  fetch(note.dataset.draft, { method: "POST", body, keepalive: true, headers: { Accept: "application/json" } }).catch(() => {});
  // Last: a browser that keeps nothing throws.
  sessionStorage.setItem(kept(note.dataset.draft), JSON.stringify({ ...fields, left_at: Date.now() }));
}

function restore(note) {
  const left = JSON.parse(sessionStorage.getItem(kept(note.dataset.draft)));
  if (!left) return;
  if (left.left_at && Date.now() - left.left_at > LEFT_MS) {
    // It has long arrived, and may have been changed elsewhere since.
    sessionStorage.removeItem(kept(note.dataset.draft));
    return;
  }
  fill(note.form, left);
  schedule(note);
}

export const drafts = {
  setUp(options) {
    onClosed = options.onClosed;
    const touched = (event) => {
      const note = event.target.form?.querySelector("[data-draft]");
      if (note && (event.target === note || event.target.type === "radio")) schedule(note);
    };
    document.addEventListener("input", touched);
    addEventListener("pagehide", saveNow);
    document.querySelectorAll("[data-draft]").forEach(restore);
  },
  // A form is about to be sent. The one with the note saves it for good: nothing may come after it, nor what is still
  // on its way. Any other comes after what was just typed, so that the page that it leads to shows it.
  async stop(form) {
    await sending?.catch(() => {});
    if (form.querySelector("[data-draft]")) {
      clearTimeout(timer);
      timer = 0;
      dirty = null;
    } else if (timer) {
      await save(dirty);
    }
  },
  // It was saved for good: what was kept here while the server was away must not come back.
  forget(form) {
    const note = form.querySelector("[data-draft]");
    if (note) sessionStorage.removeItem(kept(note.dataset.draft));
  },
  start(form) {
    const note = form.querySelector("[data-draft]");
    // What is being typed in its place by now is newer.
    if (!note || (dirty?.isConnected && !note.isConnected)) return;
    schedule(note);
  },
  // The page has changed: what was just typed goes to where the same is asked now, or at once to the server.
  moved() {
    if (!dirty || dirty.isConnected) return;
    const heir = document.querySelector(`[data-draft="${dirty.dataset.draft}"]`);
    if (!heir) {
      save(dirty);
      return;
    }
    if (heir.value !== dirty.value) fill(heir.form, fieldsOf(dirty));
    schedule(heir);
  },
  // What is in a part that is replaced, for the part that comes in its place when it asks the same.
  take(part) {
    const note = part.querySelector("[data-draft]");
    return note ? { path: note.dataset.draft, ...fieldsOf(note) } : null;
  },
  give(part, typed) {
    const note = part.querySelector("[data-draft]");
    if (note && typed?.path === note.dataset.draft) fill(note.form, typed);
  },
};
