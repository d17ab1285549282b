/* jwk.h - one key that checks signatures: a secret, or a public key from PEM or JWK (RFC 7517).
 *
 * Ownership  the _read functions return owned; leat_jwk_free frees it, and wipes a secret.
 * Threads    a key never changes, so any thread may verify with it.
 * Units      bytes.
 * Errors     a static sentence for people in *reason, without a byte of the key.
 *
 * A key is of one kind, and verifies only the algorithms of that kind: a public key is never the
 * secret of an HMAC. Refused are secrets under 32 bytes, RSA keys under 2,048 or over 8,192 bits,
 * curves other than P-256, P-384, P-521, Ed25519 and Ed448, and points that are not on their curve.
 */
#ifndef LEAT_WIRE_JWK_H
#define LEAT_WIRE_JWK_H

#include <stdbool.h>

#include "base/err.h"
#include "base/slice.h"
#include "wire/jwt_alg.h"

typedef struct leat_jwk leat_jwk;

/* An HMAC secret. A text that is a key of another kind (PEM, JSON, DER) is refused. */
LEAT_MUST_CHECK int leat_jwk_read_secret(leat_jwk **out, leat_slice secret, const char **reason);

/* The first public key or certificate of a PEM text; *rest is what follows it. Of a certificate
 * only the key counts. A private key is refused. */
LEAT_MUST_CHECK int leat_jwk_read_pem(leat_jwk **out, leat_slice pem, leat_slice *rest,
                                      const char **reason);

/* A JWK. Of a private key only the public part is read. */
LEAT_MUST_CHECK int leat_jwk_read(leat_jwk **out, leat_slice json, const char **reason);

void leat_jwk_free(leat_jwk *key); /* NULL is allowed */

bool leat_jwk_is_secret(const leat_jwk *key);

/* The key's own name; at == NULL if it has none. */
leat_slice leat_jwk_kid(const leat_jwk *key);

/* True if the key is one for that algorithm. */
bool leat_jwk_fits(const leat_jwk *key, leat_jwt_alg alg);

/* True if one verification takes 100 microseconds or longer. The key fits the algorithm. */
bool leat_jwk_is_slow(const leat_jwk *key, leat_jwt_alg alg);

/* True if the signature, as decoded from a token, is the key's over the text. The key fits the
 * algorithm. */
bool leat_jwk_verify(const leat_jwk *key, leat_jwt_alg alg, leat_slice text, leat_slice signature);

#endif
