/* A token, and when it expires, as far as the page can know. */

/** What is sent of it. */
export function value(token) {
  return typeof token === "object" ? token?.token : token;
}

export function isToken(token) {
  return typeof value(token) === "string";
}

/** Milliseconds since 1970, or null. A token is a string (a JWT says when it expires), or
 * { token, expiresAt } with a Date or milliseconds. */
export function expiryOf(token) {
  if (typeof token === "object") return token.expiresAt == null ? null : Number(token.expiresAt);
  try {
    const claims = token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
    const { exp } = JSON.parse(atob(claims));
    return typeof exp === "number" ? exp * 1000 : null;
  } catch {
    return null; // not a JWT
  }
}
