/* figures.h - the figures of a server as a whole that an operator sees: metrics, or sums of some.
 *
 * Ownership  nothing is owned; names are static.
 * Threads    any.
 * Units      bytes, seconds; counts.
 * Errors     none.
 *
 * Names end in _total where a figure only grows, so that rates can be made of it.
 */
#ifndef LEAT_CONTROL_FIGURES_H
#define LEAT_CONTROL_FIGURES_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/metrics.h"

size_t leat_figures_count(void);
const char *leat_figures_name(size_t i);
int64_t leat_figures_value(leat_metrics_registry *registry, size_t i);

/* Appends each as a member of a JSON object, with a comma before it; but not the errors by code,
 * which the summary has in a member of their own. */
void leat_figures_write(leat_metrics_registry *registry, leat_buf *json);

#endif
