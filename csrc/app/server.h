/* server.h - the process that serves: the hub, the workers, and the signals that end it.
 *
 * Ownership  the server owns hub, workers and metrics; configuration and log are borrowed and
 *            outlive it.
 * Threads    main thread.
 * Units      milliseconds.
 * Errors     _start returns the error that kept it from serving, with a message for people; the
 *            only call that is allowed then is _free.
 */
#ifndef LEAT_APP_SERVER_H
#define LEAT_APP_SERVER_H

#include "app/config.h"
#include "app/confine.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"

typedef struct leat_server leat_server;

/* confinement tells what the process has given up, for the log and the metrics; it is borrowed.
 * NULL: nothing is told. */
leat_server *leat_server_new(const leat_config *config, leat_log *log,
                             leat_confinement *confinement);

/* Starts everything and logs the line "listening address=…". */
LEAT_MUST_CHECK int leat_server_start(leat_server *s, leat_buf *error);

/* Serves until SIGTERM or SIGINT, then drains; SIGHUP reloads the scripts. Returns 0 when all
 * threads have ended, and LEAT_EDEADLINE if a second signal came or draining took too long: threads
 * still run then, and the caller must end the process. */
LEAT_MUST_CHECK int leat_server_run(leat_server *s);

/* The address it listens on, once it has started. */
const char *leat_server_address(const leat_server *s);
void leat_server_free(leat_server *s);

#endif
