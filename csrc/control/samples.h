/* samples.h - the figures of the last minute and the last hour: a sample each second, and one each
 * ten seconds.
 *
 * Ownership  it owns its samples, whose number is fixed; the registry is borrowed.
 * Threads    the loop of the control.
 * Units      milliseconds since 1970; times that something took in microseconds.
 * Errors     none.
 *
 * A sample reads counters that the workers' threads keep; no worker is asked.
 */
#ifndef LEAT_CONTROL_SAMPLES_H
#define LEAT_CONTROL_SAMPLES_H

#include "base/buf.h"
#include "base/metrics.h"
#include "loop/loop.h"

typedef struct leat_samples leat_samples;

enum {
    LEAT_SAMPLES_STEP_MS = 1000,
    LEAT_SAMPLES_MINUTE = 61,     /* samples of the last minute */
    LEAT_SAMPLES_LONG_STEPS = 10, /* of so many samples, one is kept for the hour, too */
    LEAT_SAMPLES_HOUR = 361,
};

/* Begins at once. on_sample (may be NULL) is called after each new sample. */
leat_samples *leat_samples_new(leat_loop *loop, leat_metrics_registry *registry,
                               void (*on_sample)(void *arg), void *arg);
/* No further sample is taken. */
void leat_samples_stop(leat_samples *h);
void leat_samples_free(leat_samples *h); /* stopped; NULL is harmless */

/* Append JSON: the list of the fields' names, of which the first is at_ms; one sample, as a list in
 * that order; all samples of the minute or of the hour, the oldest one first. */
void leat_samples_write_fields(leat_buf *json);
void leat_samples_write_last(const leat_samples *h, leat_buf *json);
void leat_samples_write_minute(const leat_samples *h, leat_buf *json);
void leat_samples_write_hour(const leat_samples *h, leat_buf *json);

#endif
