// The switch between light and dark; the choice is kept with the user, so that it holds on every device.
import { post } from "./forms.js";
import { toast } from "./toasts.js";

export function setUpTheme() {
  document.querySelector("[data-theme-switch]")?.addEventListener("click", async () => {
    const root = document.documentElement;
    const systemIsDark = matchMedia("(prefers-color-scheme: dark)").matches;
    const isDark = root.dataset.theme === "dark" || (root.dataset.theme === "system" && systemIsDark);
    root.dataset.theme = isDark ? "light" : "dark";
    try {
      await post("/settings/profile/preferences", { theme: root.dataset.theme });
    } catch (refused) {
      toast(refused.message, "error");
    }
  });
}
