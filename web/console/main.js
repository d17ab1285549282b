/* The page: which view is shown follows from the part of the address behind #. */

import { ask, logOut } from "./api.js";
import { setText } from "./dom.js";
import { Samples } from "./samples.js";
import { client, clients } from "./clients.js";
import { overview } from "./overview.js";
import { postgres } from "./postgres.js";
import { script } from "./script.js";
import { topic, topics } from "./topics.js";

/* `show` makes its elements in the element that it is given, and returns a function that ends it. `under`: the view
   whose link in the menu is marked. */
const VIEWS = {
  overview: { title: "Overview", show: overview },
  topics: { title: "Topics", show: topics },
  topic: { title: "Topic", show: topic, under: "topics" },
  clients: { title: "Clients", show: clients },
  client: { title: "Client", show: client, under: "clients" },
  script: { title: "Script", show: script },
  postgres: { title: "Postgres", show: postgres },
};

const STATES = { connecting: "connecting", live: "live", lost: "no connection" };

const samples = new Samples();
const main = document.querySelector("#view");
let end = () => {};

/* What somebody has typed may be no encoded text: then it stands for itself. */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function show(focus) {
  const [name, ...rest] = location.hash.slice(1).split("/");
  const key = Object.hasOwn(VIEWS, name) ? name : "overview";
  const view = VIEWS[key];
  const argument = decode(rest.join("/"));
  end();
  main.replaceChildren();
  end = view.show(main, { samples, argument }) ?? (() => {});
  document.title = `${argument || view.title} · Leat console`;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${view.under ?? key}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (!focus) return;
  main.focus({ preventScroll: true });
  window.scrollTo(0, 0); // where the view before was scrolled to is no place in this one
}

/* A console without a token has no sessions. */
async function offerLogout(button) {
  button.addEventListener("click", logOut);
  const { keys } = await ask("config");
  button.hidden = keys.find(({ key }) => key === "console_token").value === "";
}

samples.addEventListener("state", () => {
  const pill = document.querySelector("#stream");
  pill.dataset.state = samples.state;
  setText(pill, STATES[samples.state]);
});

window.addEventListener("hashchange", () => {
  if (location.hash === "#view")
    history.replaceState(null, "", "#overview"); // the skip link
  else show(true);
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
offerLogout(document.querySelector("#logout"));
samples.start();
show(false);
