/* jwt_alg.h - the signature algorithms of tokens (RFC 7518 §3.1, RFC 8037), and what belongs to
 * each.
 *
 * Ownership  static data only.
 * Threads    any.
 * Units      bytes.
 * Errors     an unknown name is false.
 *
 * "none" is no algorithm here.
 */
#ifndef LEAT_WIRE_JWT_ALG_H
#define LEAT_WIRE_JWT_ALG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"
#include "wire/crypto.h"

typedef enum leat_jwt_alg {
    LEAT_JWT_HS256,
    LEAT_JWT_HS384,
    LEAT_JWT_HS512,
    LEAT_JWT_RS256,
    LEAT_JWT_RS384,
    LEAT_JWT_RS512,
    LEAT_JWT_PS256,
    LEAT_JWT_PS384,
    LEAT_JWT_PS512,
    LEAT_JWT_ES256,
    LEAT_JWT_ES384,
    LEAT_JWT_ES512,
    LEAT_JWT_EDDSA,
    LEAT_JWT_ALGS
} leat_jwt_alg;

/* How a signature is made. */
typedef enum leat_jwt_scheme {
    LEAT_JWT_HMAC,
    LEAT_JWT_RSA_PKCS1,
    LEAT_JWT_RSA_PSS,
    LEAT_JWT_ECDSA,
    LEAT_JWT_EDWARDS,
} leat_jwt_scheme;

typedef struct leat_jwt_alg_traits {
    const char *name; /* of the header parameter alg */
    leat_jwt_scheme scheme;
    leat_hash hash;      /* EDWARDS: not used */
    size_t min_secret;   /* HMAC: RFC 7518 §3.2 */
    const char *curve;   /* ECDSA: the name in a JWK */
    const char *group;   /* ECDSA: the name that OpenSSL has for it */
    size_t number_bytes; /* ECDSA: of r and of s */
} leat_jwt_alg_traits;

/* The name counts exactly, upper and lower case included. */
bool leat_jwt_alg_of(leat_slice name, leat_jwt_alg *out);

const leat_jwt_alg_traits *leat_jwt_alg_traits_of(leat_jwt_alg alg);

#endif
