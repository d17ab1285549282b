/* filter.h - what may stand between a conn and its socket: TLS. A conn without one is plain.
 *
 * Ownership  a conn owns its filter, and frees it.
 * Threads    loop thread only.
 * Units      bytes.
 * Errors     UV_E*; UV_EAGAIN: the socket is not ready.
 *
 * What a filter waits for is in its head: LEAT_WATCH_* bits. A filter may
 * have to write in order to read (TLS 1.3 changes its keys), and the other way round.
 */
#ifndef LEAT_NET_FILTER_H
#define LEAT_NET_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/types.h>
#include <sys/uio.h>

#include "loop/deadline.h"
#include "loop/watch.h"

typedef struct leat_conn leat_conn;
typedef struct leat_filter leat_filter;

typedef enum leat_filter_state {
    LEAT_FILTER_OPENING, /* nothing can be read or written yet */
    LEAT_FILTER_OPEN,
    LEAT_FILTER_IN_KERNEL, /* open; what is sent is encrypted in the kernel: the conn writes */
} leat_filter_state;

typedef struct leat_filter_ops {
    /* Goes on with the opening. Returns 0 once it is open; UV_EAGAIN: wait_read says for what it
     * waits; UV_EPROTO: it has failed, and the peer was told why. */
    int (*open)(leat_filter *f);
    /* Returns how many bytes were read; 0 at the peer's end. Sets more. */
    ssize_t (*read)(leat_filter *f, char *bytes, size_t len);
    /* Returns how many bytes were taken. If not all were, the rest is offered again, unchanged,
     * perhaps with more behind it. Sets moved if the socket took anything. */
    ssize_t (*write)(leat_filter *f, const struct iovec *iov, size_t n);
    /* Tells the peer that nothing more is sent. */
    int (*end)(leat_filter *f);
    void (*free)(leat_filter *f);
} leat_filter_ops;

/* The head of a filter's own struct. */
struct leat_filter {
    const leat_filter_ops *ops;
    leat_conn *conn;    /* set by the conn */
    leat_deadline turn; /* the conn's: it goes on reading in the next turn */
    uint8_t state;      /* a leat_filter_state */
    uint8_t wait_read;  /* for what opening and reading wait */
    uint8_t wait_write; /* for what writing waits */
    bool more;          /* there is more to read inside, of which the socket does not tell */
    bool moved;         /* the socket has taken bytes since the conn last looked */
};

#endif
