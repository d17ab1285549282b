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

/* Serves until SIGTERM or SIGINT, then drains; SIGHUP reloads the scripts. control: the operator's
 * socket, which listens; -1: there is none. on_start is called with the address once it serves. A
 * second signal, or a drain that takes too long, ends the process. */
LEAT_MUST_CHECK int leat_serve(const leat_config *config, leat_log *log,
                               leat_confinement *confinement, int control,
                               void (*on_start)(void *arg, const char *address), void *arg,
                               leat_buf *error);

#endif
