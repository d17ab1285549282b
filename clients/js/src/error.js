/* What can go wrong, and whether it passes. */

// Errors that pass by themselves. All others are decisions and stay.
const PASSING = new Set(["unavailable", "deadline_exceeded", "rate_limited", "disconnected"]);

/**
 * Why a request or a subscription failed. `code` is one of the protocol's codes, or
 * "disconnected": no answer came, so the request was done or was not;
 * "out_of_order": the server sent a position that does not follow the last one;
 * "closed": the application has closed the connection or the topic.
 */
export class LeatError extends Error {
  constructor(code, message, retryAfterMs = 0) {
    super(message || code);
    this.name = "LeatError";
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }

  /** True if the same request may succeed later. */
  get passing() {
    return PASSING.has(this.code);
  }
}

/** The error that a message tells. A broken server may write anything there, also what cannot be made a text. */
export function told({ code, message, retry_after_ms: retryAfterMs }) {
  const text = (value) => (typeof value === "string" ? value : "");
  return new LeatError(text(code) || "internal", text(message), Number.isFinite(retryAfterMs) ? retryAfterMs : 0);
}

/** Reports an error of the application's own handler, and goes on. */
export function report(error) {
  if (globalThis.reportError) globalThis.reportError(error);
  else queueMicrotask(() => { throw error; });
}
