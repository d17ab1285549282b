/* metrics_text.c - one metric after the other; the series of a metric follow each other. */
#include "base/metrics_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/labelled.h"
#include "base/mem.h"
#include "base/metrics_table.h"

/* before: the series before this one, or NULL. */
static void render_head(const leat_metrics_series *s, const leat_metrics_series *before,
                        leat_buf *out)
{
    if (before == NULL || strcmp(before->name, s->name) != 0)
        leat_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", s->name, s->help, s->name, s->type);
}

static void render_value(leat_metrics_registry *r, leat_metric id, leat_buf *out)
{
    const leat_metrics_series *s = &leat_metrics_table[id];
    render_head(s, id == 0 ? NULL : s - 1, out);
    leat_buf_text(out, s->name);
    if (s->label != NULL)
        leat_buf_printf(out, "{%s}", s->label);
    leat_buf_printf(out, " %" PRId64 "\n", leat_metrics_sum(r, id));
}

/* The bounds of all histograms, as text. */
typedef struct bounds {
    char texts[LEAT_METRICS_BOUNDS + 1][16];
} bounds;

static bounds write_bounds(void)
{
    bounds b;
    for (size_t i = 0; i < LEAT_METRICS_BOUNDS; i++)
        snprintf(b.texts[i], sizeof(b.texts[i]), "%g", leat_metrics_bound(i));
    snprintf(b.texts[LEAT_METRICS_BOUNDS], sizeof(b.texts[0]), "+Inf");
    return b;
}

/* The count is the sum of the ranges, so that both agree although other threads count on. */
static void render_counts(const char *name, const char *label, const leat_metrics_counts *counts,
                          const bounds *b, leat_buf *out)
{
    int64_t total = 0;
    const char *comma = label == NULL ? "" : ",";
    const char *open = label == NULL ? "" : "{", *close = label == NULL ? "" : "}";
    label = label == NULL ? "" : label;
    for (size_t i = 0; i <= LEAT_METRICS_BOUNDS; i++) {
        total += counts->ranges[i];
        leat_buf_printf(out, "%s_bucket{%s%sle=\"%s\"} %" PRId64 "\n", name, label, comma,
                        b->texts[i], total);
    }
    leat_buf_printf(out, "%s_sum%s%s%s %" PRId64 ".%09" PRId64 "\n", name, open, label, close,
                    counts->sum_ns / 1000000000, counts->sum_ns % 1000000000);
    leat_buf_printf(out, "%s_count%s%s%s %" PRId64 "\n", name, open, label, close, total);
}

static void render_histogram(leat_metrics_registry *r, leat_histogram id, const bounds *b,
                             leat_buf *out)
{
    const leat_metrics_series *s = &leat_metrics_histograms[id];
    leat_metrics_counts counts;
    leat_metrics_count(r, id, &counts);
    render_head(s, id == 0 ? NULL : s - 1, out);
    render_counts(s->name, s->label, &counts, b, out);
}

static void render_labelled(const leat_labelled_sums *sums, size_t n, leat_labelled_metric id,
                            leat_buf *out)
{
    const leat_metrics_series *s = &leat_metrics_labels[id].series;
    const char *comma = s->label == NULL ? "" : ",";
    render_head(s, id == 0 ? NULL : &leat_metrics_labels[id - 1].series, out);
    for (size_t i = 0; i < n; i++)
        leat_buf_printf(out, "%s{%s%s%s} %" PRId64 "\n", s->name, sums[i].label, comma,
                        s->label == NULL ? "" : s->label, sums[i].values[id]);
}

/* A handler that never ran has no series. */
static void render_handler_seconds(const leat_labelled_sums *sums, size_t n, const bounds *b,
                                   leat_buf *out)
{
    const leat_metrics_series *s = &leat_metrics_handler_seconds;
    render_head(s, NULL, out);
    for (size_t i = 0; i < n; i++)
        if (leat_metrics_total(&sums[i].seconds) > 0)
            render_counts(s->name, sums[i].label, &sums[i].seconds, b, out);
}

static void render_family(leat_metrics_registry *r, leat_labelled_family family, const bounds *b,
                          leat_buf *out)
{
    enum { MOST = LEAT_LABELLED_MAX + 1 };
    leat_labelled_sums *sums = leat_calloc(MOST, sizeof(*sums));
    size_t n = leat_labelled_sum(r, family, sums, MOST);
    for (int id = 0; n > 0 && id < LEAT_L_COUNT; id++)
        if (leat_metrics_labels[id].family == family)
            render_labelled(sums, n, (leat_labelled_metric)id, out);
    if (n > 0 && family == LEAT_LABELLED_HANDLER)
        render_handler_seconds(sums, n, b, out);
    free(sums);
}

void leat_metrics_render(leat_metrics_registry *r, leat_buf *out)
{
    bounds b = write_bounds();
    for (int id = 0; id < LEAT_M_COUNT; id++)
        render_value(r, (leat_metric)id, out);
    for (int id = 0; id < LEAT_H_COUNT; id++)
        render_histogram(r, (leat_histogram)id, &b, out);
    render_family(r, LEAT_LABELLED_PATTERN, &b, out);
    render_family(r, LEAT_LABELLED_HANDLER, &b, out);
}
