/* jwk_set.h - the keys that an operator trusts (RFC 7517 §5), found by algorithm and kid.
 *
 * Ownership  counted: _new returns one reference, _ref adds one, _unref drops one. The set owns its
 *            keys.
 * Threads    filled by one thread; from then on it never changes, and any thread may read, _ref and
 *            _unref it.
 * Units      keys.
 * Errors     LEAT_EBADMSG with a static sentence for people in *reason.
 */
#ifndef LEAT_WIRE_JWK_SET_H
#define LEAT_WIRE_JWK_SET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/slice.h"
#include "wire/jwk.h"

enum { LEAT_JWK_SET_MAX = 100 }; /* keys of one set */

typedef struct leat_jwk_set leat_jwk_set;

leat_jwk_set *leat_jwk_set_new(void);
leat_jwk_set *leat_jwk_set_ref(leat_jwk_set *set);
void leat_jwk_set_unref(leat_jwk_set *set); /* NULL is allowed */

LEAT_MUST_CHECK int leat_jwk_set_add_secret(leat_jwk_set *set, leat_slice secret,
                                            const char **reason);
/* Adds every public key and certificate of the text; at least one. */
LEAT_MUST_CHECK int leat_jwk_set_add_pem(leat_jwk_set *set, leat_slice pem, const char **reason);

/* Who wrote a JWK or a JWK set. */
typedef enum leat_jwk_set_author {
    LEAT_JWK_SET_OPERATOR, /* a key that cannot be used is an error */
    LEAT_JWK_SET_PROVIDER, /* such keys are passed over, and so are secrets: they are public */
} leat_jwk_set_author;

/* Adds the keys of a JWK or of a JWK set; at least one. */
LEAT_MUST_CHECK int leat_jwk_set_add_json(leat_jwk_set *set, leat_slice json,
                                          leat_jwk_set_author author, const char **reason);

/* True if some key fits the algorithm, whatever its kid. */
bool leat_jwk_set_fits(const leat_jwk_set *set, leat_jwt_alg alg);

enum { LEAT_JWK_SET_TRIES = 8 }; /* keys that are tried for one token */

/* Writes the keys that may have signed a token, and returns their number. kid.at == NULL: every key
 * that fits the algorithm. Otherwise those with this kid; if there is none of them, those without
 * a kid. */
size_t leat_jwk_set_find(const leat_jwk_set *set, leat_jwt_alg alg, leat_slice kid,
                         const leat_jwk *out[LEAT_JWK_SET_TRIES]);

#endif
