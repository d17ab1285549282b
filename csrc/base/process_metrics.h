/* process_metrics.h - what /metrics says of the process and of its build, by the names that
 * Prometheus' own clients use.
 *
 * Ownership  nothing is kept.
 * Threads    any.
 * Units      bytes and seconds, in the metrics' names.
 * Errors     what the system does not tell is left out.
 *
 * A program that embeds Leat sees its own process here.
 */
#ifndef LEAT_BASE_PROCESS_METRICS_H
#define LEAT_BASE_PROCESS_METRICS_H

#include <stddef.h>

#include "base/buf.h"

/* The resident memory of the process; 0 if the system does not tell. */
size_t leat_process_resident_bytes(void);

/* Appends leat_build_info and process_*. Reads two small files of /proc, and waits for nothing. */
void leat_process_metrics_render(leat_buf *out);

#endif
