/* labelled.h - metrics by topic pattern and by handler.
 *
 * Ownership  a set of counters belongs to the registry, and lives as long as it. It is of one
 *            thread and one label.
 * Threads    a set is changed by its own thread alone, and may be read by any.
 * Units      seconds, as doubles.
 * Errors     none.
 *
 * Labels are what an app has registered, never what a client sends. A process has at most
 * LEAT_LABELLED_MAX of a family, over all its reloads; what comes later is counted together, under
 * LEAT_LABELLED_OTHER.
 */
#ifndef LEAT_BASE_LABELLED_H
#define LEAT_BASE_LABELLED_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/metrics.h"
#include "base/slice.h"

enum { LEAT_LABELLED_MAX = 250 };
#define LEAT_LABELLED_OTHER "(other)"

typedef struct leat_labelled {
    _Atomic int64_t values_[LEAT_L_COUNT];
    leat_metrics_cells seconds_; /* of a handler: leat_handler_seconds */
} leat_labelled;

/* The set of this thread for the pattern. Waits for other threads that do the same. */
leat_labelled *leat_labelled_pattern(leat_metrics *m, leat_slice pattern);
/* The same for a handler; kind: "subscribe", say. name: "" if it has none. */
leat_labelled *leat_labelled_handler(leat_metrics *m, const char *kind, leat_slice name);

/* NULL is allowed for l: nothing is counted. */
static inline void leat_labelled_add(leat_labelled *l, leat_labelled_metric id, int64_t n)
{
    if (l == NULL)
        return;
    _Atomic int64_t *cell = &l->values_[id];
    atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + n,
                          memory_order_relaxed);
}
void leat_labelled_observe(leat_labelled *l, double seconds);

/* Everything of one label, over all threads. */
typedef struct leat_labelled_sums {
    const char *label; /* as /metrics has it: NAME="VALUE"[,NAME="VALUE"] */
    int64_t values[LEAT_L_COUNT];
    leat_metrics_counts seconds;
} leat_labelled_sums;

/* Returns how many labels of the family there are; at most max of them are written to out, in the
 * order in which they came up. Their texts are borrowed from the registry. */
size_t leat_labelled_sum(leat_metrics_registry *r, leat_labelled_family family,
                         leat_labelled_sums *out, size_t max);

/* Appends a label as members of a JSON object, the first one without a comma. */
void leat_labelled_write_json(const char *label, leat_buf *json);

#endif
