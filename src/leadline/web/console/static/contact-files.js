// Importing contacts: a file is sent in pieces that each fit a form, and a running import is looked at again and again.
import { post } from "./forms.js";
import { refresh } from "./live.js";

// Of the file, before base64 and the form's escapes: together they stay below the 64 KiB of a request.
const PART_BYTES = 40 * 1024;
const TRIES = 4;
const WAIT_MS = 500;

const wait = (ms) => new Promise((done) => setTimeout(done, ms));

function base64(bytes) {
  let text = "";
  for (let start = 0; start < bytes.length; start += 8192) {
    text += String.fromCharCode(...bytes.subarray(start, start + 8192));
  }
  return btoa(text);
}

// A part may be sent again: its number holds what was sent last.
async function sendPart(path, fields) {
  for (let tried = 1; ; tried += 1) {
    try {
      return await post(path, fields);
    } catch (error) {
      const again = error.status === undefined || error.status === 503;
      if (!again || tried === TRIES) throw error;
      await wait(WAIT_MS * tried);
    }
  }
}

async function sendFile(file, told) {
  const { to } = await post("/contacts/import", { file_name: file.name.slice(-200), parts_follow: "1" });
  try {
    let number = 0;
    for (let start = 0; start < file.size; start += PART_BYTES) {
      const bytes = new Uint8Array(await file.slice(start, start + PART_BYTES).arrayBuffer());
      number += 1;
      await sendPart(`${to}/parts`, { number, data: base64(bytes) });
      told(Math.min(1, (start + PART_BYTES) / file.size));
    }
  } catch (error) {
    // Half a file is of no use to anybody.
    await post(`${to}/cancel`).catch(() => {});
    throw error;
  }
  return to;
}

function setUpFile(form) {
  const problem = form.querySelector("[data-import-problem]");
  const bar = form.querySelector("[data-import-bar]");
  const button = form.querySelector("button");
  const say = (text) => {
    problem.textContent = text;
    problem.hidden = !text;
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const [file] = form.querySelector("input[type=file]").files;
    if (!file) return;
    if (!file.size) return say("The file is empty.");
    if (file.size > Number(form.dataset.bytesMax)) return say("The file is too large. Split it, or leave columns out.");
    say("");
    button.disabled = true;
    bar.hidden = false;
    try {
      location.assign(await sendFile(file, (part) => { bar.querySelector("progress").value = part * 100; }));
    } catch (error) {
      say(error.status ? error.message : "The connection was lost. Nothing was imported; try again.");
      button.disabled = false;
      bar.hidden = true;
    }
  });
}

// Another page load, when it is over: what can be done then is not what can be done now.
async function follow(part) {
  for (;;) {
    await wait(WAIT_MS);
    if (document.hidden) continue;
    await refresh(part);
    const state = part.querySelector("[data-import-state]")?.dataset.importState;
    if (state && state !== "running") return location.reload();
  }
}

// An attribute has a name; no other column needs one.
function setUpMeaning(select) {
  const key = document.getElementById(select.dataset.importMeaning);
  const show = () => {
    key.hidden = !select.value.startsWith("attribute:");
    key.required = !key.hidden;
  };
  select.addEventListener("change", show);
  show();
}

document.querySelectorAll("[data-import-file]").forEach(setUpFile);
document.querySelectorAll("[data-import-meaning]").forEach(setUpMeaning);
document.querySelectorAll("[data-import-running]").forEach(follow);
