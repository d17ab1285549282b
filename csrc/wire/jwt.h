/* jwt.h - tokens: the compact form of a signature over claims (RFC 7515, RFC 7519).
 *
 * Ownership  the slices of a leat_jwt point into the token and into the scratch buffer of the
 *            caller.
 * Threads    any.
 * Units      bytes; times in seconds since 1970.
 * Errors     a leat_jwt_result. None carries a byte of the token.
 *
 * What of a header is used: alg, which must be among those that the caller allows; kid, to choose
 * among the caller's keys; typ, if the caller asks for one. A header with crit is refused, since
 * Leat understands no extension. Keys and addresses of keys in a header (jwk, jku, x5u, x5c) are
 * never looked at.
 */
#ifndef LEAT_WIRE_JWT_H
#define LEAT_WIRE_JWT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"
#include "wire/jwt_alg.h"

typedef enum leat_jwt_result {
    LEAT_JWT_OK,
    LEAT_JWT_MALFORMED,     /* no such token: parts, base64url, JSON, types of the claims */
    LEAT_JWT_TOO_LARGE,     /* longer than the caller allows */
    LEAT_JWT_ALGORITHM,     /* alg is not among those that the caller allows */
    LEAT_JWT_CRITICAL,      /* crit: an extension that is not understood */
    LEAT_JWT_TYPE,          /* typ is not the one that the caller wants */
    LEAT_JWT_KEY,           /* no key with that kid, or none for that algorithm */
    LEAT_JWT_SIGNATURE,     /* not signed by the key, or changed since */
    LEAT_JWT_EXPIRED,       /* exp has passed, or iat is too long ago */
    LEAT_JWT_NOT_YET_VALID, /* nbf or iat is to come */
    LEAT_JWT_ISSUER,
    LEAT_JWT_AUDIENCE,
    LEAT_JWT_SUBJECT,
    LEAT_JWT_CLAIM, /* a claim that the caller requires is missing */
    LEAT_JWT_RESULTS
} leat_jwt_result;

/* "ok", "malformed", "too_large", ... */
const char *leat_jwt_result_name(leat_jwt_result result);

/* Algorithms as a set of bits. */
#define LEAT_JWT_BIT(alg) (1u << (alg))

typedef struct leat_jwt {
    leat_jwt_alg alg;
    leat_slice kid; /* at == NULL: there is none */
    leat_slice typ; /* likewise */
    leat_slice signed_text;
    leat_slice payload;   /* base64url */
    leat_slice signature; /* base64url */
} leat_jwt;

/* Reads all but the payload. Empties scratch first. */
leat_jwt_result leat_jwt_read(leat_jwt *out, leat_slice token, size_t max_bytes, unsigned algs,
                              leat_buf *scratch);

/* True if the header's typ is that media type, with or without "application/", whatever the case
 * (RFC 7515 §4.1.9). */
bool leat_jwt_is_type(const leat_jwt *jwt, leat_slice type);

/* Empties out and decodes the payload into it; it is not checked to be JSON. */
leat_jwt_result leat_jwt_payload(const leat_jwt *jwt, leat_buf *out);

#endif
