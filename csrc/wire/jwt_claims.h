/* jwt_claims.h - what the claims of a token must say (RFC 7519 §4.1).
 *
 * Ownership  borrows everything for the call.
 * Threads    any.
 * Units      seconds since 1970. Fractions of a second are cut off.
 * Errors     a leat_jwt_result.
 */
#ifndef LEAT_WIRE_JWT_CLAIMS_H
#define LEAT_WIRE_JWT_CLAIMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "wire/jwt.h"

enum { LEAT_JWT_CLAIMS_NAMES = 16 }; /* of one list */

typedef struct leat_jwt_claims_names {
    size_t n; /* 0: nothing is asked for */
    leat_slice names[LEAT_JWT_CLAIMS_NAMES];
} leat_jwt_claims_names;

typedef struct leat_jwt_claims_rules {
    int64_t now;
    int64_t leeway_s;
    int64_t max_age_s; /* since iat; 0: not asked for. Otherwise a token needs an iat. */
    leat_jwt_claims_names issuers;
    leat_jwt_claims_names subjects;
    leat_jwt_claims_names audiences; /* n == 0: a token that names an audience is refused */
    bool any_audience;               /* the audience is not looked at */
    leat_jwt_claims_names required;  /* claims that must be there */
} leat_jwt_claims_rules;

/* json: the decoded payload. */
leat_jwt_result leat_jwt_claims_check(leat_slice json, const leat_jwt_claims_rules *rules);

#endif
