/* report.h - what one run found, as one line of JSON on the standard output.
 *
 * Ownership  borrows everything.
 * Threads    the clients' thread.
 * Units      in the names: _us, _s, _kb.
 * Errors     none.
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "common/process.h"
#include "load/crowd.h"
#include "load/listener.h"
#include "load/metrics.h"
#include "load/publisher.h"

/* What the server had used at one moment. */
typedef struct sample {
    uint64_t at_ns;
    process_cpu cpu;
    process_memory memory;
} sample;

enum { REPORT_PARTS = 10 };

typedef struct report {
    const plan *plan;
    const crowd *crowd;
    const meter *meter;
    const publisher *publisher;
    const listener *listener; /* or NULL */
    sample start, connected, settled, before_events, after_events;
    process_memory parts[REPORT_PARTS]; /* if clients leave: when each tenth of them has come */
    metrics metrics_before, metrics_after;
} report;

void report_sample(sample *s, const plan *p);
void report_print(const report *r);

#endif
