/* frame.h - WebSocket framing, server side (RFC 6455 §5).
 *
 * Ownership  the decoder owns a buffer for what is incomplete, allocated only when needed;
 *            payloads it hands out are borrowed until the callback returns.
 * Threads    any, one at a time.
 * Units      bytes.
 * Errors     leat_frame_feed returns the close code to use (1002, 1007, 1009), 0 if all is well.
 *
 * A message that lies whole and unfragmented in the bytes fed is unmasked in place and handed on
 * without a copy. Checked: masking (clients must), reserved bits and opcodes, control frames (125
 * bytes at most, not fragmented, allowed between fragments), continuation order, UTF-8 of text
 * (fails at the first bad byte, also in the middle of a fragment), minimal length encoding, message
 * limit (sum of fragments), valid close codes and reasons. Room for permessage-deflate: the decoder
 * is told which reserved bits extensions have claimed, and leaves the UTF-8 of such messages to
 * them.
 */
#ifndef LEAT_WIRE_FRAME_H
#define LEAT_WIRE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"
#include "base/utf8.h"
#include "wire/close_code.h"

typedef enum leat_frame_op {
    LEAT_FRAME_CONTINUATION = 0,
    LEAT_FRAME_TEXT = 1,
    LEAT_FRAME_BINARY = 2,
    LEAT_FRAME_CLOSE = 8,
    LEAT_FRAME_PING = 9,
    LEAT_FRAME_PONG = 10,
} leat_frame_op;

typedef struct leat_frame_decoder leat_frame_decoder;

/* Called for each whole message (op TEXT or BINARY), ping, pong and close (then close_code is set:
 * 1005 if the frame had none; payload is the reason). Returns false to stop feeding (the owner
 * closed). */
typedef bool (*leat_frame_cb)(void *arg, leat_frame_op op, leat_slice payload, int close_code);

/* The struct is public only to be embedded: a client has one inside. */
struct leat_frame_decoder {
    size_t max_message;
    uint8_t claimed_rsv;
    /* private */
    uint8_t phase_;
    uint8_t header_[14];
    uint8_t header_len_;
    uint8_t header_need_;
    uint8_t op_;
    bool fin_;
    uint8_t message_op_;
    uint8_t rsv_;
    uint8_t mask_[4];
    uint64_t frame_len_;
    uint64_t frame_got_;
    leat_buf message_; /* fragments of a message so far */
    leat_buf control_; /* payload of a control frame so far */
    leat_utf8 utf8_;
};

void leat_frame_decoder_init(leat_frame_decoder *d, size_t max_message);
void leat_frame_decoder_close(leat_frame_decoder *d);

/* True between two messages, when nothing of a frame has come: another decoder with the same limit
 * would do as well. */
bool leat_frame_at_rest(const leat_frame_decoder *d);

/* Within the callback for a message: the reserved bits of its first frame. */
static inline uint8_t leat_frame_rsv(const leat_frame_decoder *d)
{
    return d->rsv_;
}

/* Feeds bytes, which may be changed (unmasked in place). Returns 0, or the code to close with;
 * after that the decoder is not fed again. fed (may be NULL): how many were taken, fewer than len
 * if cb stopped it. */
int leat_frame_feed(leat_frame_decoder *d, char *bytes, size_t len, leat_frame_cb cb, void *arg,
                    size_t *fed);

enum { LEAT_FRAME_HEADER_MAX = 10 }; /* of a server's frame */

/* Length of a server frame's header for a payload of that length (2, 4 or 10), and the header
 * itself. */
size_t leat_frame_header_len(size_t payload_len);
size_t leat_frame_write_header(char *out, leat_frame_op op, size_t payload_len);

/* Appends a whole unmasked frame. */
void leat_frame_write(leat_buf *out, leat_frame_op op, leat_slice payload);

/* Appends a close frame; the reason (NULL: none) is cut to 123 bytes at a character boundary. Code
 * 1005 makes the empty close frame that answers an empty one. */
void leat_frame_write_close(leat_buf *out, int code, const char *reason);

#endif
