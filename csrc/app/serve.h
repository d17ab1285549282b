/* serve.h - `leat serve`: the process around a server.
 *
 * Ownership  everything is borrowed during the call.
 * Threads    main thread.
 * Units      none.
 * Errors     negative, with a message for people.
 *
 * Signals, the service manager's watchdog, what the confinement has refused, and the memory that
 * the process can give back are looked after on the server's loop. */
#ifndef LEAT_APP_SERVE_H
#define LEAT_APP_SERVE_H

#include "app/confine.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "engine/config.h"
#include "engine/host.h"

typedef struct leat_serve_options {
    const leat_config *config;
    leat_log *log;
    leat_confinement *confinement;
    int control;        /* the operator's socket, which listens; -1: there is none */
    int console;        /* the console's likewise */
    bool is_unexamined; /* the database is to be examined while it serves (late_check.h) */
    const leat_engine_sockets *sockets;               /* of the service manager; may be none */
    void (*on_start)(void *arg, const char *address); /* it serves there */
    /* Reads the configuration again, for a reload. The caller frees *out. */
    int (*read)(void *arg, leat_config *out, leat_buf *error);
    void *arg;
} leat_serve_options;

/* Serves until SIGTERM or SIGINT, then drains; SIGHUP reloads configuration, scripts and
 * certificates. A second signal, or a drain that takes too long, ends the process. */
LEAT_MUST_CHECK int leat_serve(const leat_serve_options *options, leat_buf *error);

#endif
