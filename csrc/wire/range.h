/* range.h - the header Range: which part of a content a request asks for (RFC 9110 §14).
 *
 * Ownership  nothing is kept.
 * Threads    any.
 * Units      bytes, counted from 0.
 * Errors     none: a header that cannot be understood asks for nothing.
 */
#ifndef LEAT_WIRE_RANGE_H
#define LEAT_WIRE_RANGE_H

#include <stdint.h>

#include "base/slice.h"

typedef enum leat_range_kind {
    LEAT_RANGE_NONE,          /* the whole: no range, several, or one that is none */
    LEAT_RANGE_PART,          /* one range: 206 */
    LEAT_RANGE_UNSATISFIABLE, /* it begins behind the end: 416 */
} leat_range_kind;

typedef struct leat_range {
    uint64_t first;
    uint64_t last; /* the last byte of the part, not the one behind it */
} leat_range;

/* value.at may be NULL. size is that of the whole content. *out is written for a PART. */
leat_range_kind leat_range_read(leat_slice value, uint64_t size, leat_range *out);

#endif
