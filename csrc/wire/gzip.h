/* gzip.h - the content coding gzip: the bytes, and which answers it is for (RFC 9110 §8.4,
 * §12.5.3).
 *
 * Ownership  a compressor belongs to whoever made it.
 * Threads    any, one at a time.
 * Units      bytes.
 * Errors     leat_gzip_feed returns false when the whole gets longer than it may.
 */
#ifndef LEAT_WIRE_GZIP_H
#define LEAT_WIRE_GZIP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/slice.h"
#include "wire/http.h"

typedef struct leat_gzip leat_gzip;

/* level: 1 (fastest) to 9 (smallest). max: of all that it writes. */
leat_gzip *leat_gzip_new(int level, size_t max);
void leat_gzip_free(leat_gzip *z);

/* Appends what part becomes. The last part, which may be empty, ends it. */
bool leat_gzip_feed(leat_gzip *z, leat_slice part, bool last, leat_buf *out);

/* Which coding a request wants. */
typedef enum leat_coding {
    LEAT_CODING_PLAIN,     /* none: gzip is not accepted, or plain bytes are preferred */
    LEAT_CODING_GZIP,      /* gzip; plain bytes are accepted, too */
    LEAT_CODING_GZIP_ONLY, /* identity;q=0: plain bytes are not accepted */
    LEAT_CODING_NEITHER,   /* neither of the two is accepted */
} leat_coding;

leat_coding leat_gzip_wanted(const leat_http_request *r);

/* True if content of that type, which may have parameters, gets shorter: text of some kind.
 * Pictures and the like are compressed already. */
bool leat_gzip_helps(leat_slice content_type);

#endif
