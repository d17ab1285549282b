/* slice.h - bytes that belong to somebody else.
 *
 * Ownership  a slice owns nothing: it is valid as long as the bytes are.
 * Threads    any.
 * Units      bytes.
 * Errors     none.
 */
#ifndef LEAT_BASE_SLICE_H
#define LEAT_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/err.h"

typedef struct leat_slice {
    const char *at; /* NULL: absent */
    size_t len;
} leat_slice;

static inline leat_slice leat_slice_of(const char *text)
{
    return (leat_slice){text, text == NULL ? 0 : strlen(text)};
}

static inline bool leat_slice_equal(leat_slice a, leat_slice b)
{
    if (a.len != b.len || a.len == 0)
        return a.len == b.len;
    LEAT_ASSUME(a.at != NULL && b.at != NULL);
    return memcmp(a.at, b.at, a.len) == 0;
}

static inline bool leat_slice_is(leat_slice a, const char *text)
{
    return leat_slice_equal(a, leat_slice_of(text));
}

#endif
