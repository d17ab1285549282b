/* server.h - the hub, the workers, and the loop that looks after them.
 *
 * Ownership  the server owns hub, workers and metrics; configuration and log are borrowed and
 *            outlive it, as is the host.
 * Threads    one: the caller of _start and _run, where the host's functions run, too. A host that
 *            does not know that thread opens a mailbox on the loop.
 * Units      milliseconds.
 * Errors     _start returns the error that kept it from serving, with a message for people; the
 *            only call that is allowed then is _free.
 */
#ifndef LEAT_APP_SERVER_H
#define LEAT_APP_SERVER_H

#include <stdbool.h>

#include <uv.h>

#include "app/config.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metrics.h"

typedef struct leat_server leat_server;

/* What the program adds that runs the server: signals, a service manager, a queue of commands. */
typedef struct leat_server_host {
    void *arg;
    /* Opens handles of its own on the server's loop, before anything is started. */
    int (*open)(void *arg, leat_server *s, uv_loop_t *loop);
    /* Closes them, or the loop does not end. Called if open was, even if that has failed. */
    void (*close)(void *arg);
    /* The server begins to stop. */
    void (*stopping)(void *arg);
    /* Draining takes longer than all of its timeouts together. */
    void (*overdue)(void *arg);
} leat_server_host;

leat_server *leat_server_new(const leat_config *config, leat_log *log,
                             const leat_server_host *host);

/* Starts everything and logs the line "listening address=…". */
LEAT_MUST_CHECK int leat_server_start(leat_server *s, leat_buf *error);

/* Serves until it has drained. Returns 0 when all threads have ended, and LEAT_EDEADLINE if it was
 * forced: threads still run then, and the caller must end the process. */
LEAT_MUST_CHECK int leat_server_run(leat_server *s);

/* Loads scripts and certificates anew. Does nothing once it drains. */
void leat_server_reload(leat_server *s);
/* Begins to drain; called again, drains no longer. */
void leat_server_drain(leat_server *s);
/* Returns from leat_server_run at once. */
void leat_server_force(leat_server *s, const char *reason);

/* Returns true if every worker has taken the beat of the last call, and sends another one. True
 * while it drains: that has a deadline of its own. */
bool leat_server_beat(leat_server *s);

/* For the host's own metrics, written by the server's thread only. */
leat_metrics *leat_server_metrics(leat_server *s);

/* The address it listens on, once it has started. */
const char *leat_server_address(const leat_server *s);
void leat_server_free(leat_server *s);

#endif
