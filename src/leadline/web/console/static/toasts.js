// Sentences that come and go, read out by screen readers. `toast` answers the line, for who wants to take it away sooner.

const SHOWN_MS = 6_000;

export function toast(text, kind = "success") {
  const line = document.createElement("p");
  line.className = `toast toast-${kind}`;
  line.textContent = text;
  document.getElementById("toasts").append(line);
  setTimeout(() => line.remove(), SHOWN_MS);
  return line;
}

export function setUpToasts() {
  for (const line of document.querySelectorAll("#toasts .toast")) setTimeout(() => line.remove(), SHOWN_MS);
}
