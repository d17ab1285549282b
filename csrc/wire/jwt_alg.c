/* jwt_alg.c - the table of algorithms. */
#include "wire/jwt_alg.h"

/* clang-format off */
static const leat_jwt_alg_traits table[LEAT_JWT_ALGS] = {
    [LEAT_JWT_HS256] = {"HS256", LEAT_JWT_HMAC, LEAT_HASH_SHA256, 32, NULL, NULL, 0},
    [LEAT_JWT_HS384] = {"HS384", LEAT_JWT_HMAC, LEAT_HASH_SHA384, 48, NULL, NULL, 0},
    [LEAT_JWT_HS512] = {"HS512", LEAT_JWT_HMAC, LEAT_HASH_SHA512, 64, NULL, NULL, 0},
    [LEAT_JWT_RS256] = {"RS256", LEAT_JWT_RSA_PKCS1, LEAT_HASH_SHA256, 0, NULL, NULL, 0},
    [LEAT_JWT_RS384] = {"RS384", LEAT_JWT_RSA_PKCS1, LEAT_HASH_SHA384, 0, NULL, NULL, 0},
    [LEAT_JWT_RS512] = {"RS512", LEAT_JWT_RSA_PKCS1, LEAT_HASH_SHA512, 0, NULL, NULL, 0},
    [LEAT_JWT_PS256] = {"PS256", LEAT_JWT_RSA_PSS, LEAT_HASH_SHA256, 0, NULL, NULL, 0},
    [LEAT_JWT_PS384] = {"PS384", LEAT_JWT_RSA_PSS, LEAT_HASH_SHA384, 0, NULL, NULL, 0},
    [LEAT_JWT_PS512] = {"PS512", LEAT_JWT_RSA_PSS, LEAT_HASH_SHA512, 0, NULL, NULL, 0},
    [LEAT_JWT_ES256] = {"ES256", LEAT_JWT_ECDSA, LEAT_HASH_SHA256, 0, "P-256", "prime256v1", 32},
    [LEAT_JWT_ES384] = {"ES384", LEAT_JWT_ECDSA, LEAT_HASH_SHA384, 0, "P-384", "secp384r1", 48},
    [LEAT_JWT_ES512] = {"ES512", LEAT_JWT_ECDSA, LEAT_HASH_SHA512, 0, "P-521", "secp521r1", 66},
    [LEAT_JWT_EDDSA] = {"EdDSA", LEAT_JWT_EDWARDS, LEAT_HASH_SHA512, 0, NULL, NULL, 0},
};
/* clang-format on */

bool leat_jwt_alg_of(leat_slice name, leat_jwt_alg *out)
{
    for (size_t i = 0; i < LEAT_JWT_ALGS; i++) {
        if (leat_slice_is(name, table[i].name)) {
            *out = (leat_jwt_alg)i;
            return true;
        }
    }
    return false;
}

const leat_jwt_alg_traits *leat_jwt_alg_traits_of(leat_jwt_alg alg)
{
    return &table[alg];
}
