/* Actions ask for confirmation first, and say what came of them. */

import { h, setText } from "./dom.js";

const SAID_MS = 6000;
let hide = 0;

/** Says something for some seconds; screen readers hear it. */
export function say(text, good = true) {
  const element = document.querySelector("#said");
  element.hidden = false;
  element.dataset.good = good;
  setText(element, text);
  clearTimeout(hide);
  hide = setTimeout(() => {
    element.hidden = true;
    setText(element, "");
  }, SAID_MS);
}

function confirm({ title, text, yes }) {
  const dialog = document.querySelector("#confirm");
  setText(document.querySelector("#confirm-title"), title);
  setText(document.querySelector("#confirm-text"), text);
  setText(document.querySelector("#confirm-yes"), yes);
  dialog.returnValue = "no"; // what Escape means
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

/** A button for an action: { label, title, text, yes, done, run() }. The browser gives it the focus back. */
export function actionButton(action) {
  return h("button", {
    type: "button",
    text: action.label,
    on: {
      click: async (event) => {
        if (!(await confirm(action))) return;
        const button = event.target;
        button.disabled = true;
        try {
          await action.run();
          say(action.done);
        } catch (refusal) {
          say(`${action.label} failed: ${refusal.message}`, false);
        } finally {
          button.disabled = false;
          button.focus();
        }
      },
    },
  });
}
