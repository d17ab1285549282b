/* jwt_json.h - a JSON text that must be an object without duplicate members.
 *
 * Ownership  borrows the text; keeps nothing.
 * Threads    any.
 * Units      bytes; depth counts open arrays and objects.
 * Errors     LEAT_EBADMSG.
 *
 * Two readers of one token must not see two tokens, so a member that stands twice in an object, at
 * any depth, is an error (RFC 7515 §4, RFC 7519 §4).
 */
#ifndef LEAT_WIRE_JWT_JSON_H
#define LEAT_WIRE_JWT_JSON_H

#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

/* Returns 0 if the text is such an object, of at most that depth. */
LEAT_MUST_CHECK int leat_jwt_json_check(leat_slice text, uint32_t max_depth);

#endif
