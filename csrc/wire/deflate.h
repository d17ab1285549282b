/* deflate.h - the messages of permessage-deflate (RFC 7692 §7.2), each compressed on its own.
 *
 * Ownership  the worker owns one codec for all of its connections. A connection keeps nothing
 *            between messages.
 * Threads    the owner's.
 * Units      bytes; window sizes are exponents of 2.
 * Errors     leat_deflate_inflate returns the close code to use (1007, 1009), 0 if all is well.
 *
 * A codec holds about 330 kB, of which nothing is resident before it is used, and up to 224 kB more
 * for clients with small windows, made when the first long message is for one.
 */
#ifndef LEAT_WIRE_DEFLATE_H
#define LEAT_WIRE_DEFLATE_H

#include "base/buf.h"
#include "base/event.h"
#include "wire/frame.h"

/* RSV1 of a message's first frame: the message is compressed (RFC 7692 §6). */
#define LEAT_DEFLATE_RSV 4u

typedef struct leat_deflate leat_deflate;

/* level: 1 (fastest) to 9 (smallest), as zlib's. A message shorter than min_bytes is not
 * compressed. */
leat_deflate *leat_deflate_new(int level, size_t min_bytes);
void leat_deflate_free(leat_deflate *z); /* NULL is harmless */

/* A shorter message is never compressed. */
size_t leat_deflate_min_bytes(const leat_deflate *z);

/* Appends the message whose compressed bytes are given, joined over all of its frames. Stops as
 * soon as the message is longer than max. */
int leat_deflate_inflate(leat_deflate *z, leat_slice compressed, size_t max, leat_buf *out);

/* Appends one whole server frame with the compressed payload, for a client with that window.
 * Appends nothing and returns false if the payload is shorter than min_bytes, or the frame would be
 * no shorter than without compression, or no compressor has so small a window. */
bool leat_deflate_frame(leat_deflate *z, leat_frame_op op, leat_slice payload, uint8_t window_bits,
                        leat_buf *out);

/* The event whose frame is to be sent to clients that take compressed messages: e's twin, made on
 * the first call, or e itself if its frame is no shorter compressed. Borrowed: it lives as long as
 * e. */
leat_event *leat_deflate_event(leat_deflate *z, leat_event *e);

/* True if a client with that window can inflate a message that was payload_len bytes long before it
 * was compressed on its own: nothing in it refers back further than its beginning. */
static inline bool leat_deflate_suits(uint8_t window_bits, size_t payload_len)
{
    return window_bits >= 15 || (window_bits > 0 && payload_len <= (size_t)1 << window_bits);
}

#endif
