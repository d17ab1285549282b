/* tls_private.h - the inside of TLS in a worker. tls_side.c has the handshakes under way,
 * tls_open.c one handshake, tls_flow.c what is read and written after it.
 *
 * Ownership  see tls_side.h.
 * Threads    loop thread of the worker.
 * Units      milliseconds.
 * Errors     UV_E*.
 */
#ifndef LEAT_NET_TLS_PRIVATE_H
#define LEAT_NET_TLS_PRIVATE_H

#include <openssl/ssl.h>

#include "base/buf.h"
#include "base/list.h"
#include "net/filter.h"
#include "net/tls_store.h"

typedef struct leat_tls_side leat_tls_side;
#include "loop/loop.h"
#include "net/conn.h"

struct leat_tls_side {
    leat_loop *loop;
    leat_metrics *metrics;
    leat_tls_store *store;
    uint64_t handshake_timeout_ms;
    size_t max_handshakes;
    BIO_METHOD *socket_method;
    leat_list under_way; /* oldest first */
    size_t n_under_way;
    leat_sweep sweep; /* the end of a turn with steps */
    unsigned steps;   /* of handshakes, in this turn */
    bool no_kernel;   /* the kernel has no TLS */
};

/* One connection. */
typedef struct leat_tls {
    leat_filter base;
    leat_tls_side *side;
    SSL *ssl;          /* NULL until the client's first bytes */
    leat_tls_set *set; /* of the handshake; NULL once it is over */
    leat_list link;    /* while the handshake is under way */
    leat_deadline deadline;
    leat_buf facts;              /* packed */
    uint8_t n_handshake_records; /* that the peer has sent since the connection is open */
    bool starved;                /* the socket had nothing for the last read */
    bool ended;                  /* the peer was told that nothing more is sent */
    bool broken;                 /* OpenSSL may not be called for this connection any more */
} leat_tls;

/* --- tls_side.c --- */

/* True if this turn has time for one more step of a handshake. */
bool leat_tls_side_takes_step(leat_tls_side *side);
/* The handshake is over, in the way that the metric counts. */
void leat_tls_side_over(leat_tls *t, leat_metric outcome);

/* --- tls_open.c --- */

int leat_tls_open(leat_filter *base);

/* --- tls_flow.c --- */

/* A socket for OpenSSL, as its own, but without SIGPIPE. NULL: no memory. */
BIO_METHOD *leat_tls_socket_method(void);
/* After SSL_* has failed: UV_EAGAIN, with *wait set; 0: the peer has ended; or UV_E*. */
int leat_tls_outcome(leat_tls *t, int result, uint8_t *wait);
/* From the end of the handshake on: bounds the handshake records that the peer may still send. */
void leat_tls_bound_handshake_records(leat_tls *t);
ssize_t leat_tls_read(leat_filter *base, char *bytes, size_t len);
ssize_t leat_tls_write(leat_filter *base, const struct iovec *iov, size_t n);
int leat_tls_end(leat_filter *base);

#endif
