/* tls_side.h - TLS in one worker: the handshakes under way, their deadline and their limit.
 *
 * Ownership  the worker owns the side, which outlives its connections.
 * Threads    loop thread of the worker.
 * Units      milliseconds.
 * Errors     a handshake that fails ends its conn: on_close. It is counted by reason, and logged
 *            unless the peer has just left.
 *
 * At max_handshakes, the oldest handshake makes room for a new one: who is slow on purpose then
 * loses against those who are not.
 */
#ifndef LEAT_NET_TLS_SIDE_H
#define LEAT_NET_TLS_SIDE_H

#include "base/metrics.h"
#include "base/slice.h"
#include "loop/loop.h"
#include "net/conn.h"
#include "net/tls_store.h"

typedef struct leat_tls_side leat_tls_side;

typedef struct leat_tls_side_options {
    leat_tls_store *store; /* borrowed */
    uint64_t handshake_timeout_ms;
    size_t max_handshakes; /* this worker's share */
} leat_tls_side_options;

leat_tls_side *leat_tls_side_new(leat_loop *loop, leat_metrics *metrics,
                                 const leat_tls_side_options *options);
void leat_tls_side_free(leat_tls_side *side);
/* As leat_tls_store_tell. */
void leat_tls_side_tell(const leat_tls_side *side, leat_buf *lines);

/* Begins TLS on a new conn. on_open of its handler follows, or the conn ends. */
void leat_tls_side_begin(leat_tls_side *side, leat_conn *conn);

/* What is known of the conn's TLS (wire/tls_facts.h), packed; at == NULL: the conn is plain, or not
 * open yet. As long as the conn. */
leat_slice leat_tls_side_facts(const leat_conn *conn);

#endif
