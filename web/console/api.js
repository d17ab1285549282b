/* Questions to the server, and actions. Addresses are relative to the page's own. */

/** A refusal, or a server that does not answer: status (0: none came) and the server's own message. */
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function request(path, options) {
  let response;
  try {
    response = await fetch(`api/${path}`, { cache: "no-store", redirect: "error", ...options });
  } catch {
    throw new Refusal(0, "The server does not answer.");
  }
  if (response.status === 401) {
    location.reload(); // the session is over: the server shows the login
    return new Promise(() => {});
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok)
    throw new Refusal(
      response.status,
      answer.message ?? answer.error ?? `The server answered ${response.status}.`,
    );
  return answer;
}

function path(question, parameters) {
  const query = new URLSearchParams(
    Object.entries(parameters).filter(([, value]) => value !== undefined && value !== ""),
  );
  return query.size > 0 ? `${question}?${query}` : question;
}

export function ask(question, parameters = {}, signal) {
  return request(path(question, parameters), { signal });
}

/** The header is one that a form of another site cannot set. */
export function act(question, parameters = {}) {
  return request(path(question, parameters), { method: "POST", headers: { "Leat-Console": "1" } });
}

export async function logOut() {
  await fetch("logout", { method: "POST", headers: { "Leat-Console": "1" }, redirect: "manual" });
  location.reload();
}

/** Server-Sent Events; on: listeners by the events' names. Returns the EventSource. */
export function stream(question, parameters, on) {
  const source = new EventSource(`api/${path(question, parameters)}`);
  for (const [name, listener] of Object.entries(on)) source.addEventListener(name, listener);
  return source;
}

/**
 * Asks again and again while the view is shown and the page is visible: `show(answer)` or `fail(refusal)`.
 * Returns { stop(), now() }.
 */
export function poll(question, parameters, interval_ms, show, fail) {
  const ended = new AbortController();
  let timer = 0;
  let round = 0;
  async function turn() {
    clearTimeout(timer);
    const mine = ++round;
    if (document.visibilityState === "visible") {
      try {
        const answer = await ask(question, parameters(), ended.signal);
        if (mine === round && !ended.signal.aborted) show(answer);
      } catch (refusal) {
        if (mine === round && !ended.signal.aborted) fail(refusal);
      }
    }
    if (mine === round && !ended.signal.aborted) timer = setTimeout(turn, interval_ms);
  }
  document.addEventListener("visibilitychange", turn, { signal: ended.signal });
  turn();
  return {
    now: turn,
    stop() {
      ended.abort();
      clearTimeout(timer);
    },
  };
}
