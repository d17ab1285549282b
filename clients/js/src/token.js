/* When a token expires, as far as the page can know. */

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
