/* conn.h - one accepted TCP connection: bytes in, a bounded write queue out.
 *
 * Ownership  a conn frees itself after on_close; until then its owner may call it. The write queue
 *            takes what _send_owned gives it and references what _send_event gives it.
 * Threads    loop thread only.
 * Units      bytes; milliseconds.
 * Errors     a peer's failure shows as on_close(err), once; sending after close is dropped.
 *
 * All that is sent in a turn leaves in one system call at the end of the turn, or sooner if much
 * has gathered. Only what the socket did not take waits. Sending raises no SIGPIPE. The conn does
 * not limit what is queued: the sender looks at leat_conn_queued and stops (peer.c does so at
 * max_send_buffer_bytes).
 *
 * A conn is plain, or has a filter (filter.h). Its owner sees no difference.
 */
#ifndef LEAT_NET_CONN_H
#define LEAT_NET_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/event.h"
#include "base/metrics.h"
#include "base/slice.h"
#include "loop/loop.h"
#include "net/address_limit.h"
#include "net/filter.h"
#include "net/net.h"

typedef struct leat_conn_handler {
    /* Bytes arrived. They lie in the conn's own buffer: the owner may change them in place until it
     * returns. It may close the conn. Called once a turn at most. */
    void (*on_read)(void *owner, char *bytes, size_t len);
    /* The socket had not taken all of the write queue, and now the queue is empty. May be NULL. */
    void (*on_drain)(void *owner);
    /* The last call: the conn is gone. err is 0 for a close that the owner asked for (_close, or
     * _finish however it went), UV_EOF if the peer ended it, else UV_E*. A peer that only stops
     * sending still gets what is queued; on_close follows then. */
    void (*on_close)(void *owner, int err);
    /* The conn's filter is open, and bytes may come. May be NULL. */
    void (*on_open)(void *owner);
} leat_conn_handler;

/* Takes a connected, non-blocking socket, and closes it if it fails. peer is its other end. It
 * reads from the next turn on: set a handler before. */
LEAT_MUST_CHECK int leat_conn_new(leat_conn **out, const leat_net *net, int socket,
                                  const struct sockaddr_storage *peer);

/* Sets the owner and its callbacks. May be called again: an upgraded connection gets a new owner.
 */
void leat_conn_set_handler(leat_conn *c, const leat_conn_handler *handler, void *owner);

/* Puts a filter between the conn and its socket, before anything was read or sent. Until it is
 * open, what is sent waits. */
void leat_conn_set_filter(leat_conn *c, leat_filter *filter);
/* NULL: the conn is plain. */
leat_filter *leat_conn_filter(const leat_conn *c);
/* True until the filter is open. */
bool leat_conn_opening(const leat_conn *c);
/* For the filter. */
int leat_conn_socket(const leat_conn *c);

/* Stops and starts reading: backpressure upon the peer. Idempotent. The peer's end is noticed all
 * the same, and what it has sent before that is then dropped. */
void leat_conn_read_stop(leat_conn *c);
void leat_conn_read_start(leat_conn *c);

/* The most that one on_read gets, rounded up to 256 bytes; 0: as much as usual. A small size is for
 * peers that may not cost much memory yet. */
void leat_conn_set_read_size(leat_conn *c, size_t bytes);

/* The most that the kernel holds of what it has not yet sent; 0: as much as it likes, which may be
 * megabytes. A small size is for peers that may not cost much memory yet. */
void leat_conn_set_unsent_limit(leat_conn *c, unsigned bytes);

void leat_conn_send_copy(leat_conn *c, leat_slice bytes);
/* Takes the buffer's bytes and leaves it empty. */
void leat_conn_send_owned(leat_conn *c, leat_buf *bytes);
/* Likewise, but sends only what begins at `from`. */
void leat_conn_send_tail(leat_conn *c, leat_buf *bytes, size_t from);
/* Sends part, which lies in e (or in static memory), and holds a reference of e meanwhile. */
void leat_conn_send_event(leat_conn *c, leat_event *e, leat_slice part);

/* Sends now what would leave at the end of the turn: what is still queued after that waits for the
 * peer, and on_drain follows. */
void leat_conn_flush(leat_conn *c);

/* Bytes accepted for sending that the kernel has not yet taken. */
size_t leat_conn_queued(const leat_conn *c);

/* The kernel takes no more: on_drain comes once it has taken all. */
bool leat_conn_blocked(const leat_conn *c);

/* When the kernel last took bytes, or when the queue last became non-empty, whichever is later. */
uint64_t leat_conn_progress_ms(const leat_conn *c);

/* "127.0.0.1:5000", valid as long as the conn, or until it is set. */
const char *leat_conn_remote(const leat_conn *c);
/* Sets the address of the client for whom the peer, a trusted proxy, speaks. */
void leat_conn_set_remote(leat_conn *c, const char *text);

/* Takes the count of the connection (address_limit.h), and leaves it when the conn is freed, before
 * on_close. NULL: the connection is not counted, from now on; the caller has left the old count. */
void leat_conn_set_address(leat_conn *c, leat_address_slot *slot);
/* The count; NULL if there is none. */
leat_address_slot *leat_conn_address(const leat_conn *c);
/* The conn is closed because its peer floods. */
void leat_conn_charge_flood(leat_conn *c);

/* Closes at once, dropping what is queued. on_close follows, not from inside this call. */
void leat_conn_close(leat_conn *c);

/* Sends what is queued, then a FIN, then reads and drops until the peer closes; at limit_ms
 * (absolute) it is closed in any case. on_read is not called any more. */
void leat_conn_finish(leat_conn *c, uint64_t limit_ms);

/* True from _close, _finish or a failure on: what is sent now is dropped. */
bool leat_conn_closing(const leat_conn *c);

#endif
