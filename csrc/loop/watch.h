/* watch.h - tells when a socket can be read or written.
 *
 * Ownership  a watch is embedded in its owner; the set never frees it, and never closes a socket.
 * Threads    loop thread only.
 * Units      none.
 * Errors     opening returns UV_E*. Nothing else can fail.
 *
 * For sockets that are many: a watch is 16 bytes, and opening it is one system call. A uv_poll_t is
 * ten times as large and costs four. Polling is by level, as with uv_poll_t: what is left is
 * reported again in the next turn.
 *
 * A turn serves sockets for one millisecond; the others come first in the next turn. So many
 * sockets that are always ready delay mail, timers and output by no more than that.
 */
#ifndef LEAT_LOOP_WATCH_H
#define LEAT_LOOP_WATCH_H

#include <stdint.h>

#include <uv.h>

#include "base/err.h"

typedef struct leat_watch leat_watch;
typedef struct leat_watches leat_watches;

enum {
    LEAT_WATCH_READABLE = 1, /* bytes, or the peer's end */
    LEAT_WATCH_WRITABLE = 2,
    LEAT_WATCH_ERROR = 4, /* always watched for, unless nothing else is */
    LEAT_WATCH_END = 8, /* the peer sends no more, whether or not there are bytes before its end */
};

/* Called once a turn at most. ready has LEAT_WATCH_* bits. */
typedef void (*leat_watch_cb)(leat_watch *w, unsigned ready);

struct leat_watch {
    leat_watch_cb cb_;
    int socket_;
    uint16_t events_;
    uint16_t turn_; /* the last one in which it was served */
};

/* The socket, also when the watch is closed. */
static inline int leat_watch_socket(const leat_watch *w)
{
    return w->socket_;
}

/* One set a loop. It keeps the loop alive while it has a watch. */
LEAT_MUST_CHECK int leat_watches_new(leat_watches **out, uv_loop_t *uv);
void leat_watches_close(leat_watches *set, void (*done)(void *arg), void *arg);

/* events: LEAT_WATCH_READABLE, _WRITABLE, _END, several of them, or 0. */
LEAT_MUST_CHECK int leat_watch_open(leat_watches *set, leat_watch *w, int socket, unsigned events,
                                    leat_watch_cb cb);
void leat_watch_set(leat_watches *set, leat_watch *w, unsigned events);

/* cb is not called any more. The memory of w must stay until the sweeps at the end of the turn. */
void leat_watch_close(leat_watches *set, leat_watch *w);

#endif
