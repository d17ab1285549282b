/* metrics_text.h - all metrics as text for Prometheus.
 *
 * Ownership  text is appended to the caller's buffer.
 * Threads    any.
 * Units      as in the metrics' names.
 * Errors     none.
 */
#ifndef LEAT_BASE_METRICS_TEXT_H
#define LEAT_BASE_METRICS_TEXT_H

#include "base/buf.h"
#include "base/metrics.h"

/* Appends the Prometheus text format (version 0.0.4) of the sums over all threads (of ages, the
 * largest). */
void leat_metrics_render(leat_metrics_registry *r, leat_buf *out);

#endif
