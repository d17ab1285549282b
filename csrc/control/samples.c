/* samples.c - on_time takes a sample into the ring of the minute, and each tenth one into the ring
 * of the hour, too. A sample has the time, the figures, sums of times, and quantiles of the times
 * since the last sample of the same ring. */
#include "control/samples.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "control/figures.h"

/* Quantiles of a histogram, of what was observed since the last sample, in microseconds. NOTHING:
 * nothing was observed. */
static const struct quantile {
    const char *name;
    leat_histogram id;
    double part;
} quantiles[] = {
    {"commit_to_client_p50_us", LEAT_H_COMMIT_TO_CLIENT, 0.5},
    {"commit_to_client_p99_us", LEAT_H_COMMIT_TO_CLIENT, 0.99},
    {"handshake_p50_us", LEAT_H_HANDSHAKE, 0.5},
    {"handshake_p99_us", LEAT_H_HANDSHAKE, 0.99},
    {"query_p50_us", LEAT_H_QUERY, 0.5},
    {"query_p99_us", LEAT_H_QUERY, 0.99},
};

/* Sums of times, since the start. */
static const struct total {
    const char *name;
    leat_histogram id;
} totals[] = {
    {"handshake_queue_us_total", LEAT_H_STAGE_QUEUE},
    {"handshake_authorise_us_total", LEAT_H_STAGE_AUTHORISE},
    {"handshake_arm_us_total", LEAT_H_STAGE_ARM},
    {"handshake_read_us_total", LEAT_H_STAGE_READ},
    {"handshake_replay_us_total", LEAT_H_STAGE_REPLAY},
};

#define N_QUANTILES (sizeof(quantiles) / sizeof(quantiles[0]))
#define N_TOTALS (sizeof(totals) / sizeof(totals[0]))
#define NOTHING INT64_MIN

/* The samples of one span. Sample n lies at n % size. */
struct span {
    size_t size;
    uint64_t n;
    int64_t *values;                          /* size × width */
    leat_metrics_counts before[LEAT_H_COUNT]; /* when the last sample was taken */
};

struct leat_samples {
    leat_loop *loop;
    leat_metrics_registry *registry;
    void (*on_sample)(void *arg);
    void *arg;
    leat_deadline tick;
    size_t width; /* values of a sample */
    struct span minute;
    struct span hour;
};

static void on_time(leat_deadline *d);

static struct span new_span(size_t size, size_t width)
{
    return (struct span){.size = size, .values = leat_calloc(size * width, sizeof(int64_t))};
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t quantile_of(const struct quantile *q, const leat_metrics_counts *now,
                           const leat_metrics_counts *before)
{
    leat_metrics_counts since = leat_metrics_since(now, before);
    double seconds = leat_metrics_quantile(&since, q->part);
    return seconds < 0 ? NOTHING : (int64_t)(seconds * 1e6);
}

/* Adds a sample to the span. now: the counts of all histograms. */
static void add(leat_samples *h, struct span *s, const leat_metrics_counts *now)
{
    int64_t *at = s->values + (s->n++ % s->size) * h->width;
    *at++ = now_ms();
    for (size_t i = 0; i < leat_figures_count(); i++)
        *at++ = leat_figures_value(h->registry, i);
    for (size_t i = 0; i < N_TOTALS; i++)
        *at++ = now[totals[i].id].sum_ns / 1000;
    for (size_t i = 0; i < N_QUANTILES; i++)
        *at++ = quantile_of(&quantiles[i], &now[quantiles[i].id], &s->before[quantiles[i].id]);
    memcpy(s->before, now, sizeof(s->before));
}

static void take_sample(leat_samples *h)
{
    leat_metrics_counts now[LEAT_H_COUNT];
    bool is_long = h->minute.n % LEAT_SAMPLES_LONG_STEPS == 0;
    for (unsigned id = 0; id < LEAT_H_COUNT; id++)
        leat_metrics_count(h->registry, (leat_histogram)id, &now[id]);
    add(h, &h->minute, now);
    if (is_long)
        add(h, &h->hour, now);
}

leat_samples *leat_samples_new(leat_loop *loop, leat_metrics_registry *registry,
                               void (*on_sample)(void *arg), void *arg)
{
    leat_samples *h = leat_calloc(1, sizeof(*h));
    h->loop = loop;
    h->registry = registry;
    h->on_sample = on_sample;
    h->arg = arg;
    h->width = 1 + leat_figures_count() + N_TOTALS + N_QUANTILES;
    h->minute = new_span(LEAT_SAMPLES_MINUTE, h->width);
    h->hour = new_span(LEAT_SAMPLES_HOUR, h->width);
    leat_deadline_init(&h->tick);
    take_sample(h);
    leat_loop_after(loop, &h->tick, LEAT_SAMPLES_STEP_MS, on_time);
    return h;
}

static void on_time(leat_deadline *d)
{
    leat_samples *h = LEAT_CONTAINER_OF(d, leat_samples, tick);
    take_sample(h);
    leat_loop_after(h->loop, &h->tick, LEAT_SAMPLES_STEP_MS, on_time);
    if (h->on_sample != NULL)
        h->on_sample(h->arg);
}

void leat_samples_stop(leat_samples *h)
{
    leat_deadline_cancel(&h->tick);
}

void leat_samples_free(leat_samples *h)
{
    if (h == NULL)
        return;
    free(h->minute.values);
    free(h->hour.values);
    free(h);
}

/* --- as JSON --- */

void leat_samples_write_fields(leat_buf *json)
{
    leat_buf_text(json, "[\"at_ms\"");
    for (size_t i = 0; i < leat_figures_count(); i++)
        leat_buf_printf(json, ",\"%s\"", leat_figures_name(i));
    for (size_t i = 0; i < N_TOTALS; i++)
        leat_buf_printf(json, ",\"%s\"", totals[i].name);
    for (size_t i = 0; i < N_QUANTILES; i++)
        leat_buf_printf(json, ",\"%s\"", quantiles[i].name);
    leat_buf_char(json, ']');
}

static void write_sample(const leat_samples *h, const struct span *s, uint64_t n, leat_buf *json)
{
    const int64_t *sample = s->values + (n % s->size) * h->width;
    for (size_t i = 0; i < h->width; i++) {
        leat_buf_char(json, i == 0 ? '[' : ',');
        if (sample[i] == NOTHING)
            leat_buf_text(json, "null");
        else
            leat_buf_int(json, sample[i]);
    }
    leat_buf_char(json, ']');
}

static void write_span(const leat_samples *h, const struct span *s, leat_buf *json)
{
    leat_buf_char(json, '[');
    uint64_t first = s->n > s->size ? s->n - s->size : 0;
    for (uint64_t n = first; n < s->n; n++) {
        if (n > first)
            leat_buf_char(json, ',');
        write_sample(h, s, n, json);
    }
    leat_buf_char(json, ']');
}

void leat_samples_write_last(const leat_samples *h, leat_buf *json)
{
    write_sample(h, &h->minute, h->minute.n - 1, json);
}

void leat_samples_write_minute(const leat_samples *h, leat_buf *json)
{
    write_span(h, &h->minute, json);
}

void leat_samples_write_hour(const leat_samples *h, leat_buf *json)
{
    write_span(h, &h->hour, json);
}
