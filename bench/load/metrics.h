/* metrics.h - numbers that the server itself publishes, at /metrics.
 *
 * Ownership  results are copied out.
 * Threads    any; blocks until the answer is there.
 * Units      the metric's own.
 * Errors     a server without such a page, or without such a metric, ends the program.
 */
#ifndef BENCH_METRICS_H
#define BENCH_METRICS_H

#include "load/plan.h"

enum {
    METRICS_MOST = 16,
};

typedef struct metrics {
    int n;
    char names[METRICS_MOST][64];
    double values[METRICS_MOST]; /* the sum over a metric's labels */
} metrics;

/* Reads those that p->metrics names, separated by commas. */
void metrics_read(metrics *m, const plan *p);

#endif
