/* recent.h - histograms as an operator wants them: how long things took in the last minute.
 *
 * Ownership  belongs to the control, which makes it before it opens and frees it after the end.
 * Threads    the loop of the control socket.
 * Units      seconds.
 * Errors     none.
 *
 * A metric's histogram counts from the start of the process. This notes the counts every ten
 * seconds, keeps them for a minute, and tells the quantiles of what was observed since.
 */
#ifndef LEAT_CONTROL_RECENT_H
#define LEAT_CONTROL_RECENT_H

#include "base/buf.h"
#include "base/metrics.h"
#include "loop/loop.h"

typedef struct leat_recent leat_recent;

/* The registry is borrowed. Counts nothing before leat_recent_start. */
leat_recent *leat_recent_new(leat_metrics_registry *registry);
void leat_recent_start(leat_recent *r, leat_loop *loop);
void leat_recent_stop(leat_recent *r);
void leat_recent_free(leat_recent *r); /* NULL is harmless */

/* What was observed of a handler in the last minute: its counts now, less those of before. number:
 * of the label, as leat_labelled_sum orders them. */
leat_metrics_counts leat_recent_handler(const leat_recent *r, size_t number,
                                        const leat_metrics_counts *now);

/* Appends a member, with a comma before it: the quantile, or null. */
void leat_recent_write_quantile(const leat_metrics_counts *counts, const char *name, double q,
                                leat_buf *json);

/* Appends members of a JSON object, each with a comma before it: the bounds of all histograms, and
 * each histogram with its counts since the start and the quantiles of the last minute. */
void leat_recent_write(const leat_recent *r, leat_buf *json);

#endif
