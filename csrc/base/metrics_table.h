/* metrics_table.h - the name, type, label and help text of each metric.
 *
 * Ownership  all of it is static.
 * Threads    any.
 * Units      none.
 * Errors     none.
 */
#ifndef LEAT_BASE_METRICS_TABLE_H
#define LEAT_BASE_METRICS_TABLE_H

#include "base/metrics_ids.h"

typedef struct leat_metrics_series {
    const char *name;
    const char *type;
    const char *label; /* NULL: none */
    const char *help;
} leat_metrics_series;

typedef struct leat_metrics_labelled {
    leat_labelled_family family;
    leat_metrics_series series; /* its label stands behind that of the family */
} leat_metrics_labelled;

extern const leat_metrics_series leat_metrics_table[LEAT_M_COUNT];
extern const leat_metrics_series leat_metrics_histograms[LEAT_H_COUNT];
extern const leat_metrics_labelled leat_metrics_labels[LEAT_L_COUNT];
extern const leat_metrics_series leat_metrics_handler_seconds;

#endif
