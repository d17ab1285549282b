/* recent.c - a ring of past counts; on_time adds to it. The quantiles are of what was observed
 * since the oldest one. */
#include "control/recent.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/labelled.h"
#include "base/mem.h"

enum { STEP_MS = 10000, STEPS = 6, MS_A_SECOND = 1000 };

typedef struct past {
    leat_metrics_counts counts[LEAT_H_COUNT];
    leat_metrics_counts *handlers; /* by the number of the label */
    size_t n_handlers;
} past;

struct leat_recent {
    leat_metrics_registry *registry;
    leat_loop *loop;
    leat_deadline next;
    past steps[STEPS]; /* all zero before there was one: the process's start */
    unsigned oldest;
};

leat_recent *leat_recent_new(leat_metrics_registry *registry)
{
    leat_recent *r = leat_calloc(1, sizeof(*r));
    r->registry = registry;
    leat_deadline_init(&r->next);
    return r;
}

static void note_handlers(const leat_recent *r, past *p)
{
    leat_labelled_sums *sums = leat_calloc(LEAT_LABELLED_MAX + 1, sizeof(*sums));
    size_t n = leat_labelled_sum(r->registry, LEAT_LABELLED_HANDLER, sums, LEAT_LABELLED_MAX + 1);
    p->handlers = leat_realloc(p->handlers, (n + 1) * sizeof(*p->handlers));
    p->n_handlers = n;
    for (size_t i = 0; i < n; i++)
        p->handlers[i] = sums[i].seconds;
    free(sums);
}

static void on_time(leat_deadline *d)
{
    leat_recent *r = LEAT_CONTAINER_OF(d, leat_recent, next);
    past *p = &r->steps[r->oldest];
    for (unsigned id = 0; id < LEAT_H_COUNT; id++)
        leat_metrics_count(r->registry, (leat_histogram)id, &p->counts[id]);
    note_handlers(r, p);
    r->oldest = (r->oldest + 1) % STEPS;
    leat_loop_after(r->loop, &r->next, STEP_MS, on_time);
}

void leat_recent_start(leat_recent *r, leat_loop *loop)
{
    r->loop = loop;
    leat_loop_after(loop, &r->next, STEP_MS, on_time);
}

void leat_recent_stop(leat_recent *r)
{
    leat_deadline_cancel(&r->next);
}

void leat_recent_free(leat_recent *r)
{
    for (int i = 0; r != NULL && i < STEPS; i++)
        free(r->steps[i].handlers);
    free(r);
}

void leat_recent_write_quantile(const leat_metrics_counts *counts, const char *name, double q,
                                leat_buf *json)
{
    double seconds = leat_metrics_quantile(counts, q);
    if (seconds < 0)
        leat_buf_printf(json, ",\"%s_s\":null", name);
    else
        leat_buf_printf(json, ",\"%s_s\":%.6f", name, seconds);
}

leat_metrics_counts leat_recent_handler(const leat_recent *r, size_t number,
                                        const leat_metrics_counts *now)
{
    const past *p = &r->steps[r->oldest];
    return number < p->n_handlers ? leat_metrics_since(now, &p->handlers[number]) : *now;
}

static void write_histogram(const leat_recent *r, leat_histogram id, const char *name,
                            leat_buf *json)
{
    leat_metrics_counts now;
    leat_metrics_count(r->registry, id, &now);
    leat_metrics_counts since = leat_metrics_since(&now, &r->steps[r->oldest].counts[id]);
    leat_buf_printf(json, "\"%s\":{\"ranges\":[", name);
    for (size_t i = 0; i <= LEAT_METRICS_BOUNDS; i++)
        leat_buf_printf(json, "%s%" PRId64, i > 0 ? "," : "", now.ranges[i]);
    leat_buf_printf(json, "],\"count\":%" PRId64 ",\"sum_s\":%.6f", leat_metrics_total(&now),
                    (double)now.sum_ns / 1e9);
    leat_recent_write_quantile(&since, "p50", 0.5, json);
    leat_recent_write_quantile(&since, "p99", 0.99, json);
    leat_buf_char(json, '}');
}

void leat_recent_write(const leat_recent *r, leat_buf *json)
{
    static const struct {
        leat_histogram id;
        const char *name;
    } histograms[] = {
        {LEAT_H_COMMIT_TO_CLIENT, "commit_to_client"},
        {LEAT_H_HANDSHAKE, "handshake"},
        {LEAT_H_STAGE_QUEUE, "handshake_queue"},
        {LEAT_H_STAGE_AUTHORISE, "handshake_authorise"},
        {LEAT_H_STAGE_ARM, "handshake_arm"},
        {LEAT_H_STAGE_READ, "handshake_read"},
        {LEAT_H_STAGE_REPLAY, "handshake_replay"},
        {LEAT_H_QUERY, "query"},
    };
    leat_buf_printf(json, ",\"latency_window_s\":%d,\"latency_bounds_s\":[",
                    STEPS * STEP_MS / MS_A_SECOND);
    for (size_t i = 0; i < LEAT_METRICS_BOUNDS; i++)
        leat_buf_printf(json, "%s%g", i > 0 ? "," : "", leat_metrics_bound(i));
    leat_buf_text(json, "],\"latency\":{");
    for (size_t i = 0; i < sizeof(histograms) / sizeof(histograms[0]); i++) {
        if (i > 0)
            leat_buf_char(json, ',');
        write_histogram(r, histograms[i].id, histograms[i].name, json);
    }
    leat_buf_char(json, '}');
}
