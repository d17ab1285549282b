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
 * workers are there. It is taken before the inbox's own. */
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

/* One on_stopped: in server->stops, then in the inbox. */
typedef struct embed_stop {
    inbox_item item;
    leat_list link;
    leat_stopped_fn fn;
    void *arg;
} embed_stop;

/* What the program has on one worker. The worker's thread only. */
typedef struct embed_worker {
    leat_native native; /* first: the core sees only this */
    leat_server *server;
    leat_worker *worker; /* set before the engine has started */
    leat_list subs;      /* leat_subscription that have not ended */
    leat_map calls;      /* embed_call that wait for the program, by number */
    uint64_t last_call;
    size_t n_requests; /* that the program has not answered: more than calls, if some are over */
    bool drains;       /* it was told to */
    bool ends;         /* and told again: nothing waits for the program any more */
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
    pthread_t callback_thread; /* if own_thread */
    leat_config config;        /* lua_dir NULL: there is none */
    leat_log *log;
    embed_worker *workers;
    leat_engine_host host;

    /* Of the thread of the callbacks. */
    pthread_t calls_on; /* which one that is, once there may be callbacks */
    bool dispatching;
    leat_buf scratch;

    atomic_uint next_worker;

    pthread_mutex_t lock; /* of what follows */
    embed_phase phase;
    leat_engine *engine;    /* NULL: no worker runs */
    leat_mailbox *commands; /* of the engine; NULL if it takes none */
    embed_wish wish;
    leat_list stops;    /* embed_stop: what leat_stop is to call at the end */
    leat_list late;     /* jobs that came when their worker took no more (embed_post.c) */
    leat_list requests; /* leat_request that are not answered */
};

/* --- errors and rules (embed.c) --- */

/* Fills in *error, which may be NULL. Returns -1. */
int embed_fail(leat_error *error, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for a failure of the core. */
void embed_tell(leat_error *error, const leat_failure *failure);

/* Ends the process if the caller breaks a rule of leat.h. */
void embed_check(bool kept, const char *function, const char *rule);
/* True on the thread that calls the program back. */
bool embed_on_callback_thread(const leat_server *s);

/* --- the configuration (embed_config.c) --- */

/* Writes config, or returns -1 and *error. */
int embed_config_load(leat_server *s, leat_error *error);
/* The configuration, if there is one, and what it was made of. */
void embed_config_free(leat_server *s);

/* --- the engine (embed_engine.c) --- */

/* The engine's thread. */
void *embed_engine_run(void *arg);
/* With the lock: tells the engine what the program wishes. */
void embed_engine_obey(leat_server *s);

/* --- to the workers (embed_post.c) --- */

/* Any thread: posts the job to the worker `number`, counted round and round, whose index it writes
 * to *worker before. -1 and *error if the server does not serve: the job is still the caller's
 * then. */
int embed_post(leat_server *s, size_t number, size_t *worker, leat_worker_job *job,
               leat_error *error);
/* The same, but whatever the phase, for a job that gives something back. It runs when the worker
 * has ended, if it takes no more. Returns false if none runs any more. */
bool embed_give_back(leat_server *s, size_t worker, leat_worker_job *job);
/* Runs the jobs that came too late, on the engine's thread, once the workers have ended. From here
 * on embed_give_back returns false. */
void embed_post_end(leat_server *s);
/* The number for the next subscription or socket. */
size_t embed_next_number(leat_server *s);

/* --- on a worker --- */

embed_worker *embed_worker_on(leat_server *s, leat_worker *w);
void embed_subs_end(embed_worker *w);           /* embed_sub_worker.c */
leat_native *embed_calls_open(embed_worker *w); /* embed_call.c */
/* Refuses what waits for the program, and what still comes for it. */
void embed_calls_end(embed_worker *w);

/* With the lock: the program gets the requests that came before it knew that the server is ready.
 */
void embed_calls_begin(leat_server *s);
/* Frees what the program owes an answer to, and the handlers. */
void embed_calls_free(leat_server *s);

#endif
