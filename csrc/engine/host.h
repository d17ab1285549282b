/* host.h - what the program adds that runs an engine: signals, a service manager, a queue of
 * commands, handlers of its own.
 *
 * Ownership  the host outlives the engine.
 * Threads    _open, _close, stopping, overdue: the engine's. worker_*: that worker's.
 * Units      none.
 * Errors     open returns a negative number, and the engine does not start.
 */
#ifndef LEAT_ENGINE_HOST_H
#define LEAT_ENGINE_HOST_H

#include <uv.h>

#include "core/native.h"
#include "http/http_side.h"

typedef struct leat_engine leat_engine;
typedef struct leat_worker leat_worker;

enum { LEAT_ENGINE_MAX_SOCKETS = 16 };

/* Sockets that listen already (leat_listener_take_over). The host opened them and keeps them, so
 * they listen on when the engine has ended. */
typedef struct leat_engine_sockets {
    struct {
        leat_http_door door; /* LEAT_HTTP_DOOR_PUBLIC in place of `listen`, _TLS of `tls_listen` */
        int fd;
        struct sockaddr_storage addr;
    } at[LEAT_ENGINE_MAX_SOCKETS];
    size_t count;
} leat_engine_sockets;

typedef struct leat_engine_host {
    void *arg;
    /* Opens handles of its own on the engine's loop, before anything is started. */
    int (*open)(void *arg, leat_engine *e, uv_loop_t *loop);
    /* Closes them, or the loop does not end. Called if open was, even if that has failed. */
    void (*close)(void *arg);
    /* The engine begins to stop. */
    void (*stopping)(void *arg);
    /* Draining takes longer than all of its timeouts together. */
    void (*overdue)(void *arg);
    /* A worker has a core and is about to serve. Returns the program's handlers, or NULL. The
     * function itself may be NULL, as may the next. */
    leat_native *(*worker_opens)(void *arg, leat_worker *w);
    /* The worker drains: what the program has on it must end now. */
    void (*worker_drains)(void *arg, leat_worker *w);
    const leat_engine_sockets *sockets; /* NULL: the engine opens its own */
} leat_engine_host;

#endif
