// Reports: keys, the days of a period of one's own, and the reader's time zone on the first visit.
import { onKey } from "./keys.js";

// What browsers still call some zones.
const RENAMED = {
  "America/Buenos_Aires": "America/Argentina/Buenos_Aires",
  "Asia/Calcutta": "Asia/Kolkata",
  "Asia/Katmandu": "Asia/Kathmandu",
};
const told = Intl.DateTimeFormat().resolvedOptions().timeZone;
const zone = RENAMED[told] ?? told;
const offered = [...document.querySelectorAll("select[name=tz] option")].map((option) => option.value);
if (!location.search && zone !== "UTC" && offered.includes(zone)) {
  // In the address from the start, so that whoever gets it sees the same numbers.
  location.replace(`${location.pathname}?${new URLSearchParams({ tz: zone })}`);
}

const period = document.querySelector("select[name=period]");
const days = document.querySelector(".custom-days");
period?.addEventListener("change", () => {
  days.toggleAttribute("data-unused", period.value !== "custom");
  if (period.value === "custom") days.querySelector("input").focus();
});

// Days of another choice would only confuse who reads the address.
period?.form.addEventListener("submit", () => {
  const unused = period.value !== "custom";
  for (const input of days.querySelectorAll("input")) input.disabled = unused;
  for (const field of period.form.elements) {
    if (field.name && !field.value) field.disabled = true;
  }
});
// Back to this page from the next: what was disabled for sending can be chosen again.
addEventListener("pageshow", () => {
  for (const field of period?.form.elements ?? []) field.disabled = false;
});

const tabs = [...document.querySelectorAll(".tabs a")];
tabs.forEach((tab, at) => onKey(String(at + 1), () => tab.click()));
onKey("d", () => {
  const all = [...document.querySelectorAll(".show-data")];
  const open = all.some((each) => !each.open);
  for (const each of all) each.open = open;
});

const counting = document.querySelector(".counting");
document.addEventListener("click", (event) => {
  if (counting?.open && !counting.contains(event.target)) counting.open = false;
});
counting?.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  counting.open = false;
  counting.querySelector("summary").focus();
});
