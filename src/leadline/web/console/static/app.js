// What every page does. A page's own script imports what it needs from the modules beside this one.
import { setUpDialogs } from "./dialogs.js";
import { setUpForms } from "./forms.js";
import { setUpLive } from "./live.js";
import { setUpMenus } from "./menus.js";
import { setUpPalette } from "./palette.js";
import { setUpKeys } from "./keys.js";
import { setUpTheme } from "./theme.js";
import { setUpTimes } from "./times.js";
import { setUpToasts } from "./toasts.js";

// What is shown this once was made by a form: to fetch the page anew is to look at the place, not to make another.
const once = document.querySelector("[data-once]");
if (once) history.replaceState(history.state, "", once.dataset.once);

setUpDialogs();
setUpMenus();
setUpTheme();
setUpForms();
setUpTimes();
setUpToasts();
const isSignedIn = Boolean(document.body.dataset.csrf);
if (isSignedIn) {
  setUpKeys();
  setUpPalette();
}

// Called by `start.js` when the page's own scripts are at work, too.
export function everythingStands() {
  if (isSignedIn) setUpLive();
  document.documentElement.dataset.ready = "true";
}
