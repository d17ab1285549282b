/* conn_private.h - the inside of a conn. conn.c has its life, reading and writing; conn_filter.c
 * what is different with a filter.
 *
 * Ownership  see conn.h.
 * Threads    loop thread only.
 * Units      bytes; milliseconds.
 * Errors     UV_E*.
 */
#ifndef LEAT_NET_CONN_PRIVATE_H
#define LEAT_NET_CONN_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include <sys/uio.h>

#include "base/metrics.h"
#include "loop/loop.h"
#include "net/filter.h"
#include "net/net.h"
#include "net/send_queue.h"

struct leat_conn_handler;

typedef enum leat_conn_state {
    LEAT_CONN_OPEN,
    LEAT_CONN_FINISHING, /* what is queued is still sent, what arrives is dropped */
    LEAT_CONN_LINGERING, /* FIN sent; waiting for the peer's */
    LEAT_CONN_CLOSED,    /* waiting for on_closed */
} leat_conn_state;

/* What only a conn that ends has. */
typedef struct leat_conn_end {
    leat_deadline limit;
    struct leat_conn *conn;
} leat_conn_end;

/* What every delivery reads comes last, in as few cache lines as possible. */
struct leat_conn {
    leat_watch watch;
    const struct leat_conn_handler *handler;
    void *owner;
    char *remote;
    leat_address_slot *address; /* NULL: it is not counted */
    struct leat_conn_end *end;  /* from leat_conn_finish on; NULL before */
    leat_filter *filter;        /* NULL: plain */
    const leat_net *net;
    leat_sweep sweep;
    leat_send_queue queue;
    uint64_t progress_ms;
    uint16_t read_units; /* of one recv, in READ_UNIT bytes */
    int16_t err;         /* for on_close: UV_E* are above -4096 */
    uint8_t state;
    bool reading;
    bool blocked; /* the socket did not take all: on_ready says when to go on */
    bool eof;     /* the peer sent its FIN, and the queue was not empty */
};

/* Hidden, so that the compiler may still put them where they are called: a position-independent
 * build leaves visible ones alone. */
#pragma GCC visibility push(hidden)

/* --- conn.c --- */

/* Watches only for what is of use. */
void leat_conn_update_events(leat_conn *c);
void leat_conn_begin_close(leat_conn *c, int err);
/* Closes the conn at at_ms. Called again, it replaces the time. */
void leat_conn_limit_end(leat_conn *c, uint64_t at_ms);
void leat_conn_drop_queue(leat_conn *c);
static inline int leat_conn_fd(const leat_conn *c)
{
    return leat_watch_socket(&c->watch);
}

/* The most that one read gets. */
size_t leat_conn_read_size(const leat_conn *c);
/* One recv. Returns how many bytes came, 0 at the peer's end, or UV_E*. */
ssize_t leat_conn_receive(const leat_conn *c, char *bytes);
void leat_conn_read_some(leat_conn *c);
/* Sends until the queue is empty or the socket takes no more. Never calls the owner. */
void leat_conn_write_out(leat_conn *c);
/* Does what has waited for the queue to be empty. */
void leat_conn_settle(leat_conn *c, bool was_blocked);

/* --- conn_filter.c, for a conn that has a filter --- */

/* Returns what to watch for when the conn wants to do what the events stand for. */
unsigned leat_conn_filter_events(leat_conn *c, unsigned events);
/* Returns what the conn can do now: read, write, or both. */
unsigned leat_conn_filter_ready(leat_conn *c, unsigned ready);
ssize_t leat_conn_filter_receive(leat_conn *c, char *bytes);
ssize_t leat_conn_filter_send(leat_conn *c, const struct iovec *iov, size_t n);
/* Tells the peer that nothing more is sent. Returns false if the socket does not take that yet:
 * leat_conn_settle comes here again. */
bool leat_conn_filter_end(leat_conn *c);
/* The conn closes. The peer is told that this is the end only if it has got everything. */
void leat_conn_filter_close(leat_conn *c, int err);

#pragma GCC visibility pop

#endif
