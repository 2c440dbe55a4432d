// Sentences that come and go, read out by screen readers.

const SHOWN_MS = 6_000;

export function toast(text, kind = "success") {
  const line = document.createElement("p");
  line.className = `toast toast-${kind}`;
  line.textContent = text;
  document.getElementById("toasts").append(line);
  setTimeout(() => line.remove(), SHOWN_MS);
}

export function setUpToasts() {
  for (const line of document.querySelectorAll("#toasts .toast")) setTimeout(() => line.remove(), SHOWN_MS);
}
