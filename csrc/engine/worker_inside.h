/* worker_inside.h - the inside of a worker, which its files share: worker_thread.c has its thread
 * and its commands, worker_setup.c makes everything, worker_reload.c takes another configuration
 * and other scripts, worker_end.c drains it and takes it down.
 *
 * Ownership  the worker owns all of it.
 * Threads    the worker's own, but for what worker.h says of its functions.
 * Units      none.
 * Errors     as each function says.
 */
#ifndef LEAT_ENGINE_WORKER_INSIDE_H
#define LEAT_ENGINE_WORKER_INSIDE_H

#include <stdatomic.h>
#include <time.h>

#include "core/core_life.h"
#include "engine/worker.h"
#include "net/listener.h"
#include "script/script.h"

/* Loaded scripts: the current ones, and older ones until nothing uses them any more. */
struct worker_load {
    leat_list link;
    leat_worker *worker;
    leat_lua *lua;
};

/* In the order of a worker's life. A set-up that fails goes from the first to WORKER_GOING_DOWN. */
typedef enum worker_state {
    WORKER_SERVING,    /* or setting up */
    WORKER_SETTLING,   /* told to stop: nothing is accepted; first requests are still answered */
    WORKER_DRAINING,   /* clients get their close messages */
    WORKER_DRAINED,    /* all clients of the core are gone; other requests are still answered */
    WORKER_GOING_DOWN, /* HTTP connections are closed, then the core */
    WORKER_RETIRING,   /* nothing but scripts is left, until their last user is gone */
} worker_state;

struct leat_worker {
    leat_mail over; /* posted to home at the end */
    leat_worker_options options;
    leat_limits limits; /* a copy: a reload changes it on this thread */
    bool reuse_port;
    char address[64];
    char tls_address[64];
    char metrics_address[64];
    uv_sem_t started; /* posted when it serves, or, if it cannot, when nothing of it is left */
    int start_err;
    leat_buf start_error;

    leat_loop *loop;
    leat_metrics *metrics;
    leat_mailbox *mailbox;
    char name[32]; /* of its connections */
    leat_pg_pool_options pool_options;
    leat_tally statements; /* of the pool's connections */
    leat_pg_pool *pool;
    leat_core core;
    leat_gate gate;
    bool core_started;
    leat_list scripts; /* of worker_load; the last is current */
    leat_lua *lua;     /* the current ones */
    time_t loaded_at;  /* when they were */
    uint64_t code;     /* leat_lua_code, after they were */
    size_t n_loads;
    time_t refused_at; /* when the last reload failed (http.reload_failure); 0: it did not */
    leat_http_options http_options;
    leat_http_side http;
    leat_tls_side *tls;              /* NULL: none */
    leat_listener *listener;         /* NULL: none */
    leat_listener *tls_listener;     /* NULL: none */
    leat_listener *metrics_listener; /* NULL: none */
    leat_deadline look;              /* while it settles, and while raw connections close */
    uint64_t settle_until_ms;
    worker_state state;
    atomic_uint beats;
};

/* Makes everything, from the mailbox to the listener. Returns the error that keeps it from serving.
 */
LEAT_MUST_CHECK int worker_set_up(leat_worker *w);
/* Loads the scripts, which are the current ones then; or writes why not. */
LEAT_MUST_CHECK int worker_load_scripts(leat_worker *w, leat_buf *error);

/* A job has come (worker_thread.c). */
void worker_on_mail(void *arg, leat_mail *mail);

/* Closes the listeners, settles and drains. Called again, ends at once. */
void worker_stop(leat_worker *w);
/* Called whenever a connection or a request has ended. arg: the worker. */
void worker_check_drained(void *arg);
/* Takes the worker down, whatever of it was made. */
void worker_take_down(leat_worker *w);
/* Scripts have lost their last user. arg: their worker_load. */
void worker_on_retired(void *arg);
/* Nothing of the worker is left on the loop (worker_thread.c). arg: the worker. */
void worker_on_ended(void *arg);

#endif
