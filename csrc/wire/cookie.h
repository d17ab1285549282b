/* cookie.h - signed values of cookies: VALUE.EXPIRES.SIGNATURE.
 *
 * Ownership  writing appends to the caller's buffer; what is read points into the caller's text.
 * Threads    any.
 * Units      bytes; seconds since 1970, 0: never.
 * Errors     LEAT_EBADMSG for what a cookie cannot hold; a leat_cookie_result.
 *
 * SIGNATURE is base64url(HMAC-SHA-256(secret, TEXT)), where TEXT is the line "leat.cookie.v1", the
 * line with the name that the value is for, and VALUE.EXPIRES. A value that was signed for one name
 * is not good for another one, and nothing that was signed for another purpose is taken for a
 * cookie. VALUE has the characters that RFC 6265 §4.1.1 allows.
 */
#ifndef LEAT_WIRE_COOKIE_H
#define LEAT_WIRE_COOKIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

enum {
    LEAT_COOKIE_MIN_SECRET = 32, /* bytes, as RFC 7518 §3.2 wants for the same function */
    LEAT_COOKIE_SECRETS = 8,
    LEAT_COOKIE_MAX_BYTES = 4096, /* of the whole text, as browsers have it */
};

typedef enum leat_cookie_result {
    LEAT_COOKIE_OK,
    LEAT_COOKIE_MALFORMED,
    LEAT_COOKIE_SIGNATURE,
    LEAT_COOKIE_EXPIRED,
} leat_cookie_result;

const char *leat_cookie_result_name(leat_cookie_result result);

/* Appends the signed text. Refuses a value with other characters, an empty one, a name with a
 * control character, and what would be longer than a cookie. */
LEAT_MUST_CHECK int leat_cookie_sign(leat_buf *out, leat_slice secret, leat_slice name,
                                     leat_slice value, int64_t expires_at);

typedef struct leat_cookie_check {
    leat_slice secrets[LEAT_COOKIE_SECRETS]; /* one of them must have signed */
    size_t n_secrets;
    leat_slice name;
    int64_t now;
} leat_cookie_check;

/* Writes value and expires_at on success. */
leat_cookie_result leat_cookie_verify(leat_slice text, const leat_cookie_check *check,
                                      leat_slice *value, int64_t *expires_at);

#endif
