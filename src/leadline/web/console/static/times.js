// <time class="when">: how long ago, kept true; the exact time stays in data-exact. <… data-since="iso">: a running timer.

const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
const STEPS = [["second", 60], ["minute", 60], ["hour", 24], ["day", 7]];

export function relative(at, now = Date.now()) {
  let amount = (at - now) / 1000;
  if (Math.abs(amount) < 5) return "just now";
  for (const [unit, size] of STEPS) {
    if (Math.abs(amount) < size) return RELATIVE.format(Math.round(amount), unit);
    amount /= size;
  }
  return new Date(at).toLocaleDateString("en", { month: "short", day: "numeric", year: "numeric" });
}

export function clock(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const rest = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return hours ? `${hours}:${rest}` : rest;
}

export function showTimes(root = document) {
  for (const time of root.querySelectorAll("time.when")) {
    const at = Date.parse(time.dateTime);
    if (Number.isNaN(at)) continue;
    const text = relative(at);
    if (time.textContent !== text) time.textContent = text;
    time.dataset.exact = new Date(at).toLocaleString("en", { dateStyle: "medium", timeStyle: "medium" });
  }
  showTimers(root);
}

function showTimers(root = document) {
  for (const timer of root.querySelectorAll("[data-since]")) {
    timer.textContent = clock(Date.now() - Date.parse(timer.dataset.since));
  }
}

export function setUpTimes() {
  showTimes();
  setInterval(showTimes, 20_000);
  setInterval(() => showTimers(), 1_000);
  document.addEventListener("fragment", (event) => showTimes(event.target));
}
