// The columns of outcomes: put into another order by dragging a grip, by keyboard on it, or with the buttons.
import { post } from "./forms.js";
import { onKey } from "./keys.js";
import { changed, refresh } from "./live.js";
import { toast } from "./toasts.js";

const part = document.getElementById("outcomes");
const announcer = document.getElementById("announcer");
// What is in hand: { item, list, before (the ids as they were), byPointer }.
let taken = null;
// How many orders are on their way to the server.
let saving = 0;

const items = (list) => [...list.querySelectorAll(".outcome")];
const ids = (list) => items(list).map((item) => item.dataset.id);
const place = (item) => {
  const all = items(item.parentElement);
  return `${all.indexOf(item) + 1} of ${all.length}`;
};

function announce(text) {
  announcer.textContent = text;
}

function take(item, byPointer) {
  const list = item.parentElement;
  taken = { item, list, before: ids(list), byPointer };
  part.dataset.paused = "true";
  item.classList.add("taken");
  item.querySelector(".grip").setAttribute("aria-pressed", "true");
  if (!byPointer) announce(`${item.dataset.name} taken, place ${place(item)}. Arrow keys move it, Space lets it go, Escape puts it back.`);
}

function letGo() {
  const { item } = taken;
  item.classList.remove("taken");
  item.querySelector(".grip").setAttribute("aria-pressed", "false");
  taken = null;
}

// What the server says is put in place again, unless something is in hand or on its way: it would be older than that.
function settle() {
  if (taken || saving) return;
  delete part.dataset.paused;
  refresh(part);
}

// The others move round the one in hand, so that it keeps its focus and its pointer.
function step(item, up) {
  const other = up ? item.previousElementSibling : item.nextElementSibling;
  if (!other) return false;
  if (up) item.after(other);
  else item.before(other);
  showKeys(item.parentElement);
  return true;
}

// The digits that agents press go by place; behind the tenth there are none.
function showKeys(list) {
  items(list).forEach((item, index) => {
    const key = document.createElement("kbd");
    key.textContent = String((index + 1) % 10);
    item.querySelector(".outcome-key").replaceChildren(...(index < 10 ? [key] : []));
  });
}

function putBack() {
  const { item, list, before } = taken;
  const wanted = before.indexOf(item.dataset.id);
  let now = items(list).indexOf(item);
  while (now > wanted && step(item, true)) now -= 1;
  while (now < wanted && step(item, false)) now += 1;
  announce(`${item.dataset.name} is back at place ${place(item)}.`);
  letGo();
  settle();
}

async function drop() {
  const { item, list, before } = taken;
  letGo();
  if (ids(list).join() === before.join()) {
    announce(`${item.dataset.name} stays at place ${place(item)}.`);
    settle();
    return;
  }
  await save(list, `${item.dataset.name} is at place ${place(item)} now.`);
}

async function save(list, said) {
  const form = new FormData();
  form.set("outcome_type", list.dataset.type);
  for (const id of ids(list)) form.append("outcome_ids", id);
  part.dataset.paused = "true";
  saving += 1;
  try {
    await post("/outcomes/order", form);
    announce(said);
  } catch (refused) {
    announce(refused.message);
    toast(refused.message, "error");
  } finally {
    saving -= 1;
    // What is on the screen is not what was fetched last.
    changed(part);
    settle();
  }
}

function onGripKey(event, item) {
  const mine = taken?.item === item && !taken.byPointer;
  if (event.key === " " || event.key === "Enter") {
    event.preventDefault();
    if (mine) drop();
    else if (!taken) take(item, false);
  } else if (mine && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
    event.preventDefault();
    step(item, event.key === "ArrowUp");
    announce(`Place ${place(item)}`);
    item.scrollIntoView({ block: "nearest" });
  } else if (mine && event.key === "Escape") {
    event.preventDefault();
    putBack();
  }
}

function follow(event) {
  const { item, list } = taken;
  for (const other of items(list)) {
    if (other === item) continue;
    const box = other.getBoundingClientRect();
    const middle = box.top + box.height / 2;
    const isAbove = other.compareDocumentPosition(item) & Node.DOCUMENT_POSITION_FOLLOWING;
    if (isAbove && event.clientY < middle) {
      item.after(other);
    } else if (!isAbove && event.clientY > middle) {
      item.before(other);
    }
  }
  showKeys(list);
}

part.addEventListener("pointerdown", (event) => {
  const grip = event.target.closest(".grip");
  if (!grip || event.button !== 0 || taken) return;
  event.preventDefault();
  grip.focus();
  grip.setPointerCapture(event.pointerId);
  take(grip.closest(".outcome"), true);
});
part.addEventListener("pointermove", (event) => { if (taken?.byPointer) follow(event); });
part.addEventListener("pointerup", () => { if (taken?.byPointer) drop(); });
part.addEventListener("pointercancel", () => { if (taken?.byPointer) putBack(); });
part.addEventListener("keydown", (event) => {
  const grip = event.target.closest(".grip");
  if (grip) onGripKey(event, grip.closest(".outcome"));
  else if (event.key === "Escape" && taken) putBack();
});
document.addEventListener("keydown", (event) => { if (event.key === "Escape" && taken?.byPointer) putBack(); });
part.addEventListener("focusout", (event) => {
  if (taken && !taken.byPointer && event.target.closest(".grip") && !taken.item.contains(event.relatedTarget)) putBack();
});
part.addEventListener("submit", (event) => {
  const form = event.target.closest(".moves");
  if (!form) return;
  event.preventDefault();
  const item = form.closest(".outcome");
  if (taken || !step(item, event.submitter.value === "up")) return;
  save(item.parentElement, `${item.dataset.name} is at place ${place(item)} now.`);
});
onKey("n", () => document.querySelector(".heading a[href='/outcomes/new']")?.click());
