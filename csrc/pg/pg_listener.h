/* pg_listener.h - the one connection that LISTENs.
 *
 * Ownership  the listener owns its connection.
 * Threads    loop thread only (the hub's).
 * Units      milliseconds.
 * Errors     none: the listener reconnects by itself, with back-off, until it is closed.
 *
 * After each connect it runs `BEGIN; LISTEN channel; NOTIFY channel, fence; COMMIT` in one round
 * trip. The fence takes NOTIFY's commit lock; without it, a notification that is queued but not yet
 * visible can be skipped. on_up runs when the fence has come back: from then on every announcement
 * arrives, but earlier ones may have been missed. Every keepalive_ms a cheap query checks that the
 * server still answers; without an answer within keepalive_timeout_ms the connection counts as
 * lost.
 */
#ifndef LEAT_PG_PG_LISTENER_H
#define LEAT_PG_PG_LISTENER_H

#include "loop/loop.h"
#include "pg/pg_conn.h"

typedef struct leat_pg_listener leat_pg_listener;

typedef struct leat_pg_listener_handler {
    void (*on_up)(void *arg); /* it listens, and the fence has come back */
    void (*on_down)(void *arg, int err);
    /* The connection was lost, before on_down; or none could be made. why is borrowed. */
    void (*on_trouble)(void *arg, const char *why);
    /* The payload is borrowed. sender_pid: see leat_pg_notify_cb. */
    void (*on_notify)(void *arg, const char *payload, int sender_pid);
} leat_pg_listener_handler;

typedef struct leat_pg_listener_options {
    leat_pg_options pg;
    const char *channel; /* an SQL identifier, unquoted */
    uint64_t max_backoff_ms;
    uint64_t keepalive_ms;
    uint64_t keepalive_timeout_ms;
} leat_pg_listener_options;

LEAT_MUST_CHECK int leat_pg_listener_new(leat_pg_listener **out, leat_loop *loop,
                                         leat_metrics *metrics,
                                         const leat_pg_listener_options *options,
                                         const leat_pg_listener_handler *handler, void *arg);

/* No further callbacks. When the connection is gone, the listener is freed, and done runs. */
void leat_pg_listener_close(leat_pg_listener *l, void (*done)(void *arg), void *arg);

#endif
