/* failure.h - why something was not done: what a client or a script is told.
 *
 * Ownership  the message is borrowed.
 * Threads    any.
 * Units      milliseconds.
 * Errors     none.
 */
#ifndef LEAT_BASE_FAILURE_H
#define LEAT_BASE_FAILURE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

typedef struct leat_failure {
    leat_code code;          /* LEAT_CODE_OK: nothing failed */
    leat_slice message;      /* for people; empty: the code's own sentence will do */
    uint32_t retry_after_ms; /* 0: the code says it all */
    bool read_failed;        /* a read failed: it was no decision, and may pass later */
} leat_failure;

/* Returns true if an identity was refused because its token has expired, so that another token may
 * help: the message is `expired`, as leat.jwt.verify and leat.cookie.verify call it. */
static inline bool leat_failure_is_expiry(const leat_failure *failure)
{
    return failure->code == LEAT_CODE_UNAUTHENTICATED && leat_slice_is(failure->message, "expired");
}

#endif
