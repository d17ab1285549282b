/* worker.h - one thread: a loop, the scripts, a pool of database connections, a listening socket
 * and its clients.
 *
 * Ownership  the worker owns all of that but the loop; the server owns the worker.
 * Threads    _new, _start, _free: the server's thread. _post: any. Everything else happens on the
 *            worker's own.
 * Units      none.
 * Errors     _start returns the error that kept the worker from serving, with a message; the only
 *            call that is allowed then is _free.
 */
#ifndef LEAT_ENGINE_WORKER_H
#define LEAT_ENGINE_WORKER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/log.h"
#include "base/metrics.h"
#include "engine/config.h"
#include "engine/host.h"
#include "http/http_side.h"
#include "hub/hub.h"
#include "loop/loop_thread.h"
#include "loop/mailbox.h"
#include "net/address_limit.h"
#include "net/tls_store.h"
#include "pg/pg_pool.h"

typedef struct leat_worker_options {
    const leat_config *config; /* all borrowed for the worker's life */
    leat_log *log;
    leat_metrics_registry *registry;
    leat_hub *hub;
    size_t index;              /* of the worker, from 0 */
    leat_pg_pool_options pool; /* its share; copied, under a name of its own */
    leat_address_limit *addresses;
    const struct sockaddr_storage *addr;         /* NULL: no plain listener */
    const struct sockaddr_storage *tls_addr;     /* NULL: none with TLS */
    bool has_doorman[LEAT_HTTP_DOORS];           /* that listens in the worker's place */
    leat_tls_store *tls;                         /* NULL likewise */
    const struct sockaddr_storage *metrics_addr; /* metrics_listen is this worker's; else NULL */
    const leat_engine_host *host;                /* told when the worker opens and drains */
    leat_mailbox *home; /* gets a mail of the worker when it has ended; the worker owns the mail */
} leat_worker_options;

/* A piece of work for the worker's thread. Embedded in an allocation of its sender, which `run`
 * takes over. It runs even while the worker goes down: leat_worker_serves tells. */
typedef struct leat_worker_job leat_worker_job;
struct leat_worker_job {
    leat_mail mail_;
    void (*run)(leat_worker_job *job, leat_worker *w);
};

typedef enum leat_worker_command {
    LEAT_WORKER_BEAT, /* show that the loop turns: leat_worker_beats counts it */
    LEAT_WORKER_STOP, /* drain: accept no new connections, close those of all clients, end. A
                         second time: close them at once */
} leat_worker_command;

leat_worker *leat_worker_new(const leat_worker_options *options);

/* Starts the thread and waits until the worker accepts connections. */
LEAT_MUST_CHECK int leat_worker_start(leat_worker *w, leat_loop_thread *thread, bool reuse_port,
                                      leat_buf *error);

/* The addresses really bound, "127.0.0.1:40123", once started. */
const char *leat_worker_address(const leat_worker *w);
const char *leat_worker_tls_address(const leat_worker *w);
const char *leat_worker_metrics_address(const leat_worker *w);

void leat_worker_post(leat_worker *w, leat_worker_command command);

/* Takes the limits over, which are copied, and loads the scripts anew; if they do not load, the old
 * ones stay. refused: the configuration could not be read, which is why neither is done; NULL: it
 * was. Any thread. */
void leat_worker_reload(leat_worker *w, const leat_limits *limits, const char *refused);
/* Any thread. Returns false if the worker's thread takes no jobs any more: the job stays the
 * sender's. */
LEAT_MUST_CHECK bool leat_worker_do(leat_worker *w, leat_worker_job *job);

/* On the worker's thread: */
size_t leat_worker_index(const leat_worker *w);
bool leat_worker_serves(const leat_worker *w); /* until it drains */
bool leat_worker_is_up(const leat_worker *w);  /* its core and its pool are there */
leat_core *leat_worker_core(leat_worker *w);
/* The statements that its database has run, and their times. */
const leat_tally *leat_worker_statements(const leat_worker *w);
leat_http_side *leat_worker_http(leat_worker *w);
/* For an operator: appends members of a JSON object, the first one without a comma, about the
 * worker's scripts: since when they serve, and why the last ones did not load. */
void leat_worker_describe_scripts(const leat_worker *w, leat_buf *json);

/* How many LEAT_WORKER_BEAT the worker has taken. Any thread. */
unsigned leat_worker_beats(const leat_worker *w);

/* After the mail to home, and the end of the thread. */
void leat_worker_free(leat_worker *w);

#endif
