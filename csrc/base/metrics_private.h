/* metrics_private.h - what metrics.c, metrics_text.c and labelled.c share.
 *
 * Ownership  a registry owns its metrics, and the label sets.
 * Threads    a cell is written by its own thread, and read by any.
 * Units      seconds, as doubles.
 * Errors     none.
 */
#ifndef LEAT_BASE_METRICS_PRIVATE_H
#define LEAT_BASE_METRICS_PRIVATE_H

#include <pthread.h>

#include "base/list.h"
#include "base/metrics_ids.h"

typedef struct leat_metrics leat_metrics;
typedef struct leat_metrics_registry leat_metrics_registry;

typedef struct leat_labelled_names {
    char **texts; /* by number */
    size_t n;
} leat_labelled_names;

struct leat_metrics {
    leat_list link;
    leat_metrics_registry *registry;
    _Atomic int64_t values[LEAT_M_COUNT];
    leat_metrics_cells histograms[LEAT_H_COUNT];
    struct {
        struct leat_labelled **sets; /* by the number of their label; NULL: this thread has none */
        size_t n;
    } labelled[LEAT_LABELLED_FAMILIES];
};

struct leat_metrics_registry {
    pthread_mutex_t lock; /* of the lists, and of all labels; not of the values */
    leat_list all;
    leat_labelled_names names[LEAT_LABELLED_FAMILIES];
};

static inline leat_metrics *leat_metrics_of(leat_list *link)
{
    return LEAT_CONTAINER_OF(link, leat_metrics, link);
}

void leat_metrics_observe_in(leat_metrics_cells *cells, double seconds);
void leat_metrics_add_counts(const leat_metrics_cells *cells, leat_metrics_counts *sum);

#endif
