/* ws_far_end.h - the client's end of a WebSocket over a socket pair: it says frames, and expects
 * bytes.
 *
 * Ownership  ws_far_end_open makes it, ws_far_end_close frees what is left; the other socket is
 *            the caller's.
 * Threads    one.
 * Units      milliseconds.
 * Errors     fail the test.
 */
#ifndef LEAT_SPEC_NET_WS_FAR_END_H
#define LEAT_SPEC_NET_WS_FAR_END_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "wire/frame.h"

typedef struct ws_far_end {
    int fd; /* -1 once it has hung up */
    leat_buf heard;
    bool eof;
    void (*turn)(void *arg); /* turns the server's loop once, without waiting long */
    void *arg;
} ws_far_end;

/* Returns the server's socket. */
int ws_far_end_open(ws_far_end *e, void (*turn)(void *arg), void *arg);
void ws_far_end_hang_up(ws_far_end *e);
void ws_far_end_close(ws_far_end *e);

/* Appends one frame as a client writes it: masked, whole unless flags lack 0x80. */
void ws_far_end_write(leat_buf *out, int flags, int op, const char *payload, size_t len);
void ws_far_end_say_bytes(ws_far_end *e, const char *bytes, size_t len);
/* Says one whole frame. */
void ws_far_end_say(ws_far_end *e, int op, const char *payload, size_t len);
void ws_far_end_say_text(ws_far_end *e, const char *text);

/* Turns the loop, and receives what there is. */
void ws_far_end_hear(ws_far_end *e);
#define WS_FAR_END_UNTIL(e, condition)                                                             \
    do {                                                                                           \
        uint64_t until_ns_ = ws_far_end_clock_ns() + 10000000000u;                                 \
        while (!(condition)) {                                                                     \
            if (ws_far_end_clock_ns() > until_ns_)                                                 \
                fail_msg("not in time: %s", #condition);                                           \
            ws_far_end_hear(e);                                                                    \
        }                                                                                          \
    } while (0)
uint64_t ws_far_end_clock_ns(void);

/* Waits for exactly these bytes. */
void ws_far_end_expect(ws_far_end *e, const char *bytes, size_t len);
void ws_far_end_expect_text(ws_far_end *e, const char *text);
void ws_far_end_expect_close(ws_far_end *e, int code, const char *reason);

#endif
