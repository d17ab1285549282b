/* Who do you want to be? */

import { hrefFor } from "./address.js";
import { avatar, byId, h } from "./dom.js";

/** Asks the server until it answers. */
export async function loadPeople() {
  for (let wait = 500; ; wait = Math.min(wait * 2, 8_000)) {
    const answer = await fetch("/api/users").catch(() => null);
    if (answer?.ok) return answer.json();
    byId("people-note").textContent = "The server does not answer. Trying again.";
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

export class LoginView {
  constructor() {
    byId("token-form").addEventListener("submit", (event) => {
      event.preventDefault();
      location.hash = hrefFor(byId("token").value.trim());
    });
  }

  show(visible) {
    byId("login").hidden = !visible;
    byId("login-error").hidden = true;
  }

  complain(sentence) {
    const error = byId("login-error");
    error.textContent = sentence;
    error.hidden = false;
    byId("token").focus();
  }

  offer(people) {
    byId("people").replaceChildren(
      ...people.map((person) => {
        const href = hrefFor(person.token);
        return h(
          "li",
          {},
          h(
            "a",
            { href },
            avatar(person),
            h("strong", {}, person.name),
            h("code", {}, person.token),
          ),
        );
      }),
    );
    byId("people-note").textContent =
      "Demo users: the tokens are public here, as no real application’s would be.";
  }
}
