/* jwk_private.h - what jwk.c, jwk_read.c and jwk_verify.c share.
 *
 * Ownership  a key owns what it points to.
 * Threads    a key never changes once it is made.
 * Units      bytes.
 * Errors     as jwk.h.
 */
#ifndef LEAT_WIRE_JWK_PRIVATE_H
#define LEAT_WIRE_JWK_PRIVATE_H

#include <openssl/evp.h>

#include "base/err.h"
#include "base/slice.h"
#include "wire/jwt_alg.h"

typedef struct leat_jwk leat_jwk;

struct leat_jwk {
    EVP_PKEY *pkey; /* NULL: it is a secret */
    char *secret;   /* NULL: it is a public key */
    size_t secret_len;
    char *kid; /* NULL: it has none */
    size_t kid_len;
    leat_jwt_alg only; /* the one algorithm that it is for; LEAT_JWT_ALGS: all of its kind */
};

/* Takes pkey over. */
LEAT_MUST_CHECK int leat_jwk_make_public(leat_jwk **out, EVP_PKEY *pkey, const char **reason);
LEAT_MUST_CHECK int leat_jwk_make_secret(leat_jwk **out, leat_slice secret, const char **reason);

#endif
