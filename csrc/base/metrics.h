/* metrics.h - counters, gauges and histograms.
 *
 * Ownership  a leat_metrics belongs to one thread, which alone changes it; a registry lists those
 *            of a process.
 * Threads    relaxed atomics: rendering may run on any thread while the owners count on.
 * Units      histograms take seconds, as doubles; everything else counts.
 * Errors     none.
 */
#ifndef LEAT_BASE_METRICS_H
#define LEAT_BASE_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/metrics_ids.h"

typedef struct leat_metrics leat_metrics;
typedef struct leat_metrics_registry leat_metrics_registry;

leat_metrics_registry *leat_metrics_registry_new(void);
void leat_metrics_registry_free(leat_metrics_registry *r); /* frees its metrics too */

/* A new set of series for one thread, owned by the registry. */
leat_metrics *leat_metrics_new(leat_metrics_registry *r);

/* Adds n, which may be negative for gauges. */
void leat_metrics_add(leat_metrics *m, leat_metric id, int64_t n);
void leat_metrics_set(leat_metrics *m, leat_metric id, int64_t value);
void leat_metrics_observe(leat_metrics *m, leat_histogram id, double seconds);

/* The counter of the errors with that code; not LEAT_CODE_OK. */
leat_metric leat_metrics_of_error(leat_code code);
/* A client was told of an error with that code; not LEAT_CODE_OK. */
void leat_metrics_add_error(leat_metrics *m, leat_code code);

/* This thread's own value. */
int64_t leat_metrics_get(const leat_metrics *m, leat_metric id);

/* The sum over the registry's threads; of an age, the largest. */
int64_t leat_metrics_sum(leat_metrics_registry *r, leat_metric id);

void leat_metrics_count(leat_metrics_registry *r, leat_histogram id, leat_metrics_counts *out);
/* The upper end of a range, in seconds; i < LEAT_METRICS_BOUNDS. */
double leat_metrics_bound(size_t i);
/* Returns what was observed between two counts of the same histogram. */
leat_metrics_counts leat_metrics_since(const leat_metrics_counts *now,
                                       const leat_metrics_counts *before);
int64_t leat_metrics_total(const leat_metrics_counts *counts); /* of all ranges */
/* Returns below which value the part q (0 to 1) of the observations lies, in seconds. As in
 * Prometheus, they count as evenly spread within a range, and the result is at most the highest
 * bound. Negative: there were none. */
double leat_metrics_quantile(const leat_metrics_counts *counts, double q);

#endif
