/* frame.h - the heads of WebSocket frames.
 *
 * Ownership  the caller's bytes.
 * Threads    any.
 * Units      bytes.
 * Errors     none: lengths are the caller's to check.
 */
#ifndef BENCH_FRAME_H
#define BENCH_FRAME_H

#include <stddef.h>

enum {
    FRAME_HEAD_BYTES = 10, /* at most, of a server's frame */
    FRAME_MASK_BYTES = 4,
    FRAME_CLOSE = 8,
};

/* Bytes of the head, without the mask, as its second byte tells. */
size_t frame_head(unsigned char second);

/* Bytes of the payload of the frame that begins here. */
size_t frame_length(const char *frame);

/* Writes a whole text frame; out has FRAME_HEAD_BYTES more than n. Returns its length. */
size_t frame_write(char *out, const char *text, size_t n);

#endif
