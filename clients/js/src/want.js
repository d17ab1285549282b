/* Mistakes in arguments are told where they are made: by a TypeError that says what is wanted. */

export function want(ok, sentence) {
  if (!ok) throw new TypeError(sentence);
}

export function wantName(name, what) {
  want(typeof name === "string" && name, `${what} must be a string that is not empty`);
}

export function wantFunction(value, what) {
  want(typeof value === "function", `${what} must be a function`);
}

/** The members of `object` with these names are functions, or absent. */
export function wantHandlers(object, names) {
  want(object && typeof object === "object", "handlers must be an object of functions");
  for (const name of names) if (object[name] != null) wantFunction(object[name], `the handler ${name}`);
}

export function wantTimeout(ms) {
  want(ms === undefined || (ms > 0 && Number.isFinite(ms)), "timeoutMs must be a positive number");
}
