/* question_load.c - `handlers` and `patterns`: what the scripts have to do, and how long it takes.
 * Their counters are read from the registry, so no worker is asked. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/labelled.h"
#include "base/mem.h"
#include "control/ask.h"

enum { MAX_LABELS = LEAT_LABELLED_MAX + 1 };

/* One line of the answer. */
typedef struct line {
    leat_labelled_sums sums;
    leat_metrics_counts recent; /* handlers: of the last minute */
    double rank;                /* the largest comes first */
} line;

/* Returns owned: *n lines. */
static line *read_lines(leat_ask *ask, leat_labelled_family family, size_t *n)
{
    leat_metrics_registry *registry = leat_engine_registry(ask->inside->engine);
    leat_labelled_sums *sums = leat_calloc(MAX_LABELS, sizeof(*sums));
    line *lines = leat_calloc(MAX_LABELS, sizeof(*lines));
    *n = leat_labelled_sum(registry, family, sums, MAX_LABELS);
    for (size_t i = 0; i < *n; i++)
        lines[i].sums = sums[i];
    free(sums);
    return lines;
}

static int compare(const void *a, const void *b)
{
    double left = ((const line *)a)->rank, right = ((const line *)b)->rank;
    return left < right ? 1 : left > right ? -1 : 0;
}

/* Writes the first lines in their order. Takes the lines. */
static int write_lines(leat_ask *ask, const char *name, line *lines, size_t n, leat_buf *json,
                       void (*write)(const line *l, leat_buf *json))
{
    qsort(lines, n, sizeof(*lines), compare);
    leat_buf_printf(json, ",\"total\":%zu,\"%s\":[", n, name);
    for (size_t i = 0; i < n && i < ask->asked.limit; i++) {
        leat_buf_text(json, i > 0 ? ",{" : "{");
        leat_labelled_write_json(lines[i].sums.label, json);
        write(&lines[i], json);
        leat_buf_char(json, '}');
    }
    leat_buf_char(json, ']');
    free(lines);
    return 200;
}

/* --- handlers --- */

/* In the order of the names below. */
enum { BY_P99, BY_TIME, BY_CALLS, BY_ERRORS };

static double seconds_of(const leat_metrics_counts *counts)
{
    return (double)counts->sum_ns / 1e9;
}

static double rank_of_handler(const line *l, int order)
{
    switch (order) {
    case BY_TIME:
        return seconds_of(&l->recent);
    case BY_CALLS:
        return (double)leat_metrics_total(&l->recent);
    case BY_ERRORS:
        return (double)l->sums.values[LEAT_L_ERRORS];
    default:
        return leat_metrics_quantile(&l->recent, 0.99);
    }
}

static void write_handler(const line *l, leat_buf *json)
{
    leat_buf_printf(json, ",\"recent\":%" PRId64 ",\"recent_s\":%.6f",
                    leat_metrics_total(&l->recent), seconds_of(&l->recent));
    leat_recent_write_quantile(&l->recent, "p50", 0.5, json);
    leat_recent_write_quantile(&l->recent, "p99", 0.99, json);
    leat_buf_printf(json, ",\"count\":%" PRId64 ",\"sum_s\":%.6f,\"errors\":%" PRId64,
                    leat_metrics_total(&l->sums.seconds), seconds_of(&l->sums.seconds),
                    l->sums.values[LEAT_L_ERRORS]);
}

static int write_handlers(leat_ask *ask, leat_buf *json)
{
    size_t n = 0;
    line *lines = read_lines(ask, LEAT_LABELLED_HANDLER, &n);
    for (size_t i = 0; i < n; i++) {
        lines[i].recent = leat_recent_handler(ask->inside->recent, i, &lines[i].sums.seconds);
        lines[i].rank = rank_of_handler(&lines[i], ask->asked.order);
    }
    return write_lines(ask, "handlers", lines, n, json, write_handler);
}

const leat_ask_kind leat_ask_handlers = {
    .method = "GET",
    .name = "handlers",
    LEAT_ASK_ORDERS("p99 time calls errors"),
    .only = LEAT_LOOK_ALL,
    .write = write_handlers,
};

/* --- patterns --- */

/* In the order of the names below. */
static const leat_labelled_metric pattern_orders[] = {LEAT_L_SUBSCRIPTIONS, LEAT_L_EVENTS,
                                                      LEAT_L_DELIVERIES, LEAT_L_TOPICS};

static void write_pattern(const line *l, leat_buf *json)
{
    static const struct {
        const char *name;
        leat_labelled_metric id;
    } figures[] = {
        {"topics", LEAT_L_TOPICS},
        {"subscriptions", LEAT_L_SUBSCRIPTIONS},
        {"events_total", LEAT_L_EVENTS},
        {"deliveries_total", LEAT_L_DELIVERIES},
        {"handshakes_ok_total", LEAT_L_HANDSHAKES_OK},
        {"handshakes_resumed_total", LEAT_L_HANDSHAKES_RESUMED},
        {"handshakes_refused_total", LEAT_L_HANDSHAKES_REFUSED},
        {"handshakes_late_total", LEAT_L_HANDSHAKES_DEADLINE},
        {"handshakes_unavailable_total", LEAT_L_HANDSHAKES_UNAVAILABLE},
        {"handshakes_internal_total", LEAT_L_HANDSHAKES_INTERNAL},
        {"handshakes_gone_total", LEAT_L_HANDSHAKES_GONE},
    };
    for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
        leat_buf_printf(json, ",\"%s\":%" PRId64, figures[i].name, l->sums.values[figures[i].id]);
}

static int write_patterns(leat_ask *ask, leat_buf *json)
{
    size_t n = 0;
    line *lines = read_lines(ask, LEAT_LABELLED_PATTERN, &n);
    for (size_t i = 0; i < n; i++)
        lines[i].rank = (double)lines[i].sums.values[pattern_orders[ask->asked.order]];
    return write_lines(ask, "patterns", lines, n, json, write_pattern);
}

const leat_ask_kind leat_ask_patterns = {
    .method = "GET",
    .name = "patterns",
    LEAT_ASK_ORDERS("subscriptions events deliveries topics"),
    .only = LEAT_LOOK_ALL,
    .write = write_patterns,
};
