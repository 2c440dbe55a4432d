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

// The time that something is or holds. The link of a row answers for the time in it that cannot be focused itself.
function timeOf(element) {
  const own = element.closest("time.when");
  if (own || !element.matches("a, summary")) return own;
  const row = element.matches(".row-link") ? element.closest("tr") : null;
  return element.querySelector("time.when") ?? row?.querySelector("time.when:not([tabindex])") ?? null;
}

// One tip for the time that is pointed at or focused; Escape takes it away.
function setUpTip() {
  const tip = document.getElementById("tip");
  let shown = null;
  let described = null;
  const hide = () => {
    described?.removeAttribute("aria-describedby");
    shown = described = null;
    if (tip.matches(":popover-open")) tip.hidePopover();
  };
  const show = (event) => {
    const time = event.target instanceof Element ? timeOf(event.target) : null;
    if (!time || time === shown) return;
    hide();
    shown = time;
    tip.textContent = time.dataset.exact;
    described = event.type === "focusin" ? event.target : time;
    described.setAttribute("aria-describedby", "tip");
    // Within a dialog that is open, only what is above it is seen: a popover is.
    tip.showPopover();
    const box = time.getBoundingClientRect();
    const above = box.top - tip.offsetHeight - 6;
    tip.style.top = `${above > 4 ? above : box.bottom + 6}px`;
    tip.style.left = `${Math.max(8, Math.min(box.left, innerWidth - tip.offsetWidth - 8))}px`;
  };
  document.addEventListener("mouseover", (event) => {
    if (event.target.closest?.("time.when")) show(event);
    else if (shown && document.activeElement !== described) hide();
  });
  document.addEventListener("focusin", show);
  document.addEventListener("focusout", hide);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  addEventListener("scroll", hide, { capture: true, passive: true });
}

export function setUpTimes() {
  setUpTip();
  showTimes();
  setInterval(showTimes, 20_000);
  setInterval(() => showTimers(), 1_000);
  document.addEventListener("fragment", (event) => showTimes(event.target));
}
