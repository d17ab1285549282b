/* labelled.c - a label has a number in the registry; each thread has a set of counters at that
 * number, or none.
 *
 * The registry's lock protects the labels and the lists of sets. The counters in a set are relaxed
 * atomics, as those of metrics.c.
 */
#include "base/labelled.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/metrics_private.h"

/* Prometheus escapes these in the value of a label; JSON does it alike. Other control characters
 * are not in the names of an app, or stand as they are. */
static void write_value(leat_buf *out, leat_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (c == '"' || c == '\\')
            leat_buf_char(out, '\\');
        if (c == '\n')
            leat_buf_text(out, "\\n");
        else
            leat_buf_char(out, (unsigned char)c < ' ' ? ' ' : c);
    }
}

static void write_label(leat_buf *out, const char *name, leat_slice value)
{
    leat_buf_printf(out, "%s%s=\"", out->len > 0 ? "," : "", name);
    write_value(out, value);
    leat_buf_char(out, '"');
}

/* --- the sets --- */

static bool find(const leat_labelled_names *names, const char *text, size_t *number)
{
    for (size_t i = 0; i < names->n; i++) {
        if (strcmp(names->texts[i], text) != 0)
            continue;
        *number = i;
        return true;
    }
    return false;
}

static size_t add_name(leat_labelled_names *names, const char *text)
{
    names->texts = leat_realloc(names->texts, (names->n + 1) * sizeof(*names->texts));
    names->texts[names->n] = leat_strdup(text);
    return names->n++;
}

/* The number of the label, or that of all labels which came too late. */
static size_t number_of(leat_labelled_names *names, const char *text, const char *other)
{
    size_t number;
    if (find(names, text, &number))
        return number;
    if (names->n < LEAT_LABELLED_MAX)
        return add_name(names, text);
    return find(names, other, &number) ? number : add_name(names, other);
}

static leat_labelled *set_at(leat_metrics *m, leat_labelled_family family, size_t number)
{
    size_t n = m->labelled[family].n;
    leat_labelled **sets = m->labelled[family].sets;
    if (number >= n) {
        sets = leat_realloc(sets, (number + 1) * sizeof(leat_labelled *));
        memset(sets + n, 0, (number + 1 - n) * sizeof(leat_labelled *));
        m->labelled[family].sets = sets;
        m->labelled[family].n = number + 1;
    }
    if (sets[number] == NULL)
        sets[number] = leat_calloc(1, sizeof(leat_labelled));
    return sets[number];
}

static leat_labelled *get(leat_metrics *m, leat_labelled_family family, leat_buf *label,
                          const char *other)
{
    leat_metrics_registry *r = m->registry;
    leat_buf_char(label, '\0');
    pthread_mutex_lock(&r->lock);
    leat_labelled *set = set_at(m, family, number_of(&r->names[family], label->at, other));
    pthread_mutex_unlock(&r->lock);
    leat_buf_close(label);
    return set;
}

leat_labelled *leat_labelled_pattern(leat_metrics *m, leat_slice pattern)
{
    leat_buf label = LEAT_BUF_INIT;
    write_label(&label, "pattern", pattern);
    return get(m, LEAT_LABELLED_PATTERN, &label, "pattern=\"" LEAT_LABELLED_OTHER "\"");
}

leat_labelled *leat_labelled_handler(leat_metrics *m, const char *kind, leat_slice name)
{
    leat_buf label = LEAT_BUF_INIT;
    write_label(&label, "handler", leat_slice_of(kind));
    write_label(&label, "name", name);
    return get(m, LEAT_LABELLED_HANDLER, &label,
               "handler=\"" LEAT_LABELLED_OTHER "\",name=\"" LEAT_LABELLED_OTHER "\"");
}

void leat_labelled_observe(leat_labelled *l, double seconds)
{
    if (l != NULL)
        leat_metrics_observe_in(&l->seconds_, seconds);
}

/* --- their sums --- */

static void add_set(const leat_labelled *set, leat_labelled_sums *sums)
{
    for (int i = 0; i < LEAT_L_COUNT; i++)
        sums->values[i] += atomic_load_explicit(&set->values_[i], memory_order_relaxed);
    leat_metrics_add_counts(&set->seconds_, &sums->seconds);
}

static leat_labelled_sums sum_of(const leat_metrics_registry *r, leat_labelled_family family,
                                 size_t number)
{
    leat_labelled_sums sums = {.label = r->names[family].texts[number]};
    for (leat_list *l = r->all.next; l != &r->all; l = l->next) {
        const leat_metrics *m = leat_metrics_of(l);
        if (number < m->labelled[family].n && m->labelled[family].sets[number] != NULL)
            add_set(m->labelled[family].sets[number], &sums);
    }
    return sums;
}

size_t leat_labelled_sum(leat_metrics_registry *r, leat_labelled_family family,
                         leat_labelled_sums *out, size_t max)
{
    pthread_mutex_lock(&r->lock);
    size_t n = r->names[family].n;
    for (size_t i = 0; i < n && i < max; i++)
        out[i] = sum_of(r, family, i);
    pthread_mutex_unlock(&r->lock);
    return n;
}

/* The values are escaped as JSON does it. */
void leat_labelled_write_json(const char *label, leat_buf *json)
{
    bool quoted = false;
    leat_buf_char(json, '"');
    for (const char *c = label; *c != '\0'; c++) {
        if (*c == '\\') {
            leat_buf_char(json, *c++);
        } else if (*c == '"') {
            quoted = !quoted;
        } else if (*c == '=' && !quoted) {
            leat_buf_text(json, "\":");
            continue;
        } else if (*c == ',' && !quoted) {
            leat_buf_text(json, ",\"");
            continue;
        }
        leat_buf_char(json, *c);
    }
}
