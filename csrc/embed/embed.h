/* embed.h - the inside of a leat_server (leat.h), which its files share.
 *
 * Ownership  as each member says.
 * Threads    three kinds: the program's own, the engine's, the workers'. A member belongs to one of
 *            them, or to the lock.
 * Units      milliseconds; bytes.
 * Errors     leat_error, filled in by embed_fail.
 *
 * What goes to a worker is a leat_worker_job, what comes back to the program an inbox_item; one
 * allocation is often both, one after the other. The lock is held while a job is posted: so the
 * workers are there. */
#ifndef LEAT_EMBED_EMBED_H
#define LEAT_EMBED_EMBED_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/failure.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "embed/inbox.h"
#include "embed/leat.h"
#include "embed/log_box.h"
#include "engine/config_load.h"
#include "engine/engine.h"
#include "engine/worker.h"

typedef enum embed_phase {
    EMBED_NEW,
    EMBED_STARTING, /* the engine's thread sets it up */
    EMBED_SERVING,
    EMBED_STOPPING, /* told to drain */
    EMBED_OVER,     /* or the start has failed */
} embed_phase;

/* What the program wants of a server that has started. */
typedef enum embed_wish {
    EMBED_RUN,
    EMBED_DRAIN, /* leat_stop */
    EMBED_END,   /* a second leat_stop, or leat_server_free: without a drain */
} embed_wish;

/* A handler of the program. Written before the start, read by the workers after it. */
typedef struct embed_handler {
    leat_list link;
    leat_native_kind kind;
    char *name;                   /* METHOD */
    struct leat_pattern *pattern; /* PUBLISH */
    leat_request_fn fn;
    void *arg;
} embed_handler;

/* What the program has on one worker. The worker's thread only. */
typedef struct embed_worker {
    leat_native native; /* first: the core sees only this */
    leat_server *server;
    leat_worker *worker; /* set before the engine has started */
    leat_list subs;      /* leat_subscription that have not ended */
    leat_map calls;      /* embed_call that wait for the program, by number */
    uint64_t last_call;
} embed_worker;

struct leat_server {
    inbox inbox;
    bool own_thread; /* callbacks come on a thread of Leat's */

    /* Written before the start. */
    leat_list settings; /* embed_setting */
    char *file;
    char *home;
    char *app_source;
    leat_list handlers; /* embed_handler */
    log_box box;
    leat_ready_fn on_ready;
    void *on_ready_arg;

    /* Written by leat_start. */
    bool started; /* of the host thread only */
    pthread_t host_thread;
    pthread_t engine_thread;
    pthread_t callback_thread;
    leat_config config; /* lua_dir NULL: there is none */
    leat_log *log;
    embed_worker *workers;
    leat_engine_host host;

    /* Of the thread of the callbacks. */
    bool dispatching;
    leat_buf scratch;

    atomic_bool closing; /* leat_server_free: the callback thread ends */
    atomic_uint next_worker;

    pthread_mutex_t lock; /* of what follows */
    embed_phase phase;
    leat_engine *engine;
    leat_mailbox *commands; /* of the engine; NULL if it takes none */
    embed_wish wish;
    leat_stopped_fn on_stopped;
    void *on_stopped_arg;
    leat_list requests; /* leat_request that are not answered */
};

/* --- errors (embed.c) --- */

/* Fills in *error, which may be NULL. Returns -1. */
int embed_fail(leat_error *error, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for a failure of the core. */
void embed_tell(leat_error *error, const leat_failure *failure);

/* Ends the process if the caller breaks a rule of leat.h. */
void embed_check(bool kept, const char *function, const char *rule);

/* --- threads --- */

/* Any thread: posts the job to a worker. -1 and *error if the server does not serve: the job is
 * still the caller's then. */
int embed_post(leat_server *s, size_t worker, leat_worker_job *job, leat_error *error);
/* The same, but whatever the phase, for a job that gives something back. Returns false if the
 * worker is gone. */
bool embed_give_back(leat_server *s, size_t worker, leat_worker_job *job);
/* The worker that the next subscription or socket goes to. */
size_t embed_next_worker(leat_server *s);
/* The worker of a topic. */
size_t embed_worker_of(const leat_server *s, const char *topic);

/* --- on a worker --- */

embed_worker *embed_worker_on(leat_server *s, leat_worker *w);
void embed_subs_end(embed_worker *w);           /* embed_sub.c */
leat_native *embed_calls_open(embed_worker *w); /* embed_call.c */

/* Frees what the program owes an answer to, and the handlers. */
void embed_calls_free(leat_server *s);

#endif
