// <input type="datetime-local" data-utc>: the page writes UTC, people read their own time, and UTC is sent again.

const two = (number) => String(number).padStart(2, "0");

function local(at) {
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T${two(at.getHours())}:${two(at.getMinutes())}`;
}

for (const input of document.querySelectorAll("input[data-utc]")) {
  if (input.value) input.value = local(new Date(`${input.value}Z`));
}
for (const zone of document.querySelectorAll("[data-zone]")) zone.textContent = "(your time)";

document.addEventListener("formdata", (event) => {
  for (const input of event.target.querySelectorAll("input[data-utc]")) {
    const at = new Date(input.value);
    if (input.value && !Number.isNaN(at.getTime())) event.formData.set(input.name, `${at.toISOString().slice(0, 16)}Z`);
  }
});

const period = document.querySelector("select[data-period]");
const between = document.querySelector(".between");
period?.addEventListener("change", () => {
  between.toggleAttribute("data-unused", period.value !== "custom");
  if (period.value === "custom") between.querySelector("input").focus();
});
// An address without what was not chosen can be read.
period?.form.addEventListener("formdata", (event) => {
  for (const [name, value] of [...event.formData]) {
    if (!value || (period.value !== "custom" && (name === "since" || name === "until"))) event.formData.delete(name);
  }
});
