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
#ifndef LEAT_ENGINE_ENGINE_H
#define LEAT_ENGINE_ENGINE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/metrics.h"
#include "engine/config.h"
#include "engine/host.h"
#include "engine/worker.h"

leat_engine *leat_engine_new(const leat_config *config, leat_log *log,
                             const leat_engine_host *host);

/* Starts everything and logs the line "listening address=…". */
LEAT_MUST_CHECK int leat_engine_start(leat_engine *s, leat_buf *error);

/* Serves until it has drained. Returns 0 when all threads have ended, and LEAT_EDEADLINE if it was
 * forced: threads still run then, and the caller must end the process. */
LEAT_MUST_CHECK int leat_engine_run(leat_engine *s);

/* Loads scripts and certificates anew, and takes over what it can of fresh (config_reload.h); NULL:
 * the configuration is as before. Does nothing once it drains. */
void leat_engine_reload(leat_engine *s, const leat_config *fresh);
/* The configuration could not be read anew: /readyz?verbose tells why, one line. */
void leat_engine_reload_failed(leat_engine *s, const char *why);
/* Begins to drain; called again, drains no longer. */
void leat_engine_drain(leat_engine *s);
/* Returns from leat_engine_run at once. */
void leat_engine_force(leat_engine *s, const char *reason);

/* Returns true if every worker has taken the beat of the last call, and sends another one. True
 * while it drains: that has a deadline of its own. */
bool leat_engine_beat(leat_engine *s);

/* For the host's own metrics, written by the server's thread only. */
leat_metrics *leat_engine_metrics(leat_engine *s);

/* Sets the levels of the log until the configuration is read again. The engine's thread. */
void leat_engine_set_log_levels(leat_engine *s, const leat_log_levels *levels);
leat_log_levels leat_engine_log_levels(const leat_engine *s);

/* Appends the text of all metrics, for Prometheus. Any thread. */
void leat_engine_render_metrics(leat_engine *s, leat_buf *out);

/* For those who look inside (control/). The workers that were started, as long as the engine lives:
 * a job goes to one by leat_worker_do, which fails once the worker has ended. */
size_t leat_engine_n_workers(const leat_engine *s);
leat_worker *leat_engine_worker(leat_engine *s, size_t i);
leat_metrics_registry *leat_engine_registry(leat_engine *s);
bool leat_engine_serves(const leat_engine *s); /* until it drains */

/* The address it listens on, once it has started; "" if it has no listener. */
const char *leat_engine_address(const leat_engine *s);
void leat_engine_free(leat_engine *s);

#endif
