// The user's menu and, on small screens, the navigation.

export function setUpMenus() {
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target)) menu.removeAttribute("open");
    }
    const toggle = event.target.closest("[data-toggles]");
    if (toggle) {
      const part = document.getElementById(toggle.dataset.toggles);
      toggle.setAttribute("aria-expanded", String(part.classList.toggle("open")));
      if (part.classList.contains("open")) part.querySelector("a")?.focus();
    } else if (!event.target.closest(".side")) {
      closeSide();
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const menu = document.querySelector("details.menu[open]");
    menu?.removeAttribute("open");
    menu?.querySelector("summary").focus();
    if (closeSide()) document.querySelector("[data-toggles=side]").focus();
  });
}

function closeSide() {
  const side = document.getElementById("side");
  if (!side?.classList.contains("open")) return false;
  side.classList.remove("open");
  document.querySelector("[data-toggles=side]").setAttribute("aria-expanded", "false");
  return true;
}
