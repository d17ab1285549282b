/* metrics.c - counters of each thread, summed when somebody asks.
 *
 * Only its own thread writes a counter. So counting is a relaxed load and a relaxed store, without
 * a locked instruction in the fan-out. Whoever adds up the threads' counters may read some that are
 * a few counts old, but none that is half written.
 */
#include "base/metrics.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/metrics_private.h"

/* The upper bounds of all histograms' ranges, in seconds. */
static const double bounds[] = {
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
};

enum { N_BOUNDS = LEAT_METRICS_BOUNDS };
_Static_assert(sizeof(bounds) / sizeof(bounds[0]) == N_BOUNDS, "one row for each bound");

leat_metrics_registry *leat_metrics_registry_new(void)
{
    leat_metrics_registry *r = leat_calloc(1, sizeof(*r));
    int failed = pthread_mutex_init(&r->lock, NULL);
    LEAT_ASSERT(failed == 0);
    leat_list_init(&r->all);
    return r;
}

static void free_labelled(leat_metrics_registry *r)
{
    for (int family = 0; family < LEAT_LABELLED_FAMILIES; family++) {
        for (leat_list *l = r->all.next; l != &r->all; l = l->next) {
            leat_metrics *m = leat_metrics_of(l);
            for (size_t i = 0; i < m->labelled[family].n; i++)
                free(m->labelled[family].sets[i]);
            free(m->labelled[family].sets);
        }
        for (size_t i = 0; i < r->names[family].n; i++)
            free(r->names[family].texts[i]);
        free(r->names[family].texts);
    }
}

void leat_metrics_registry_free(leat_metrics_registry *r)
{
    if (r == NULL)
        return;
    leat_list *link = NULL;
    free_labelled(r);
    while ((link = leat_list_shift(&r->all)) != NULL)
        free(leat_metrics_of(link));
    pthread_mutex_destroy(&r->lock);
    free(r);
}

leat_metrics *leat_metrics_new(leat_metrics_registry *r)
{
    leat_metrics *m = leat_calloc(1, sizeof(*m));
    m->registry = r;
    pthread_mutex_lock(&r->lock);
    leat_list_push(&r->all, &m->link);
    pthread_mutex_unlock(&r->lock);
    return m;
}

static int64_t load(const _Atomic int64_t *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

static void add(_Atomic int64_t *c, int64_t n)
{
    atomic_store_explicit(c, load(c) + n, memory_order_relaxed);
}

void leat_metrics_add(leat_metrics *m, leat_metric id, int64_t n)
{
    LEAT_ASSERT((unsigned)id < LEAT_M_COUNT);
    add(&m->values[id], n);
}

/* The metrics stand in the order of the codes. */
leat_metric leat_metrics_of_error(leat_code code)
{
    LEAT_ASSERT(code > LEAT_CODE_OK && code < LEAT_CODE_COUNT);
    return (leat_metric)((int)LEAT_M_ERRORS_BAD_REQUEST + (int)code - (int)LEAT_CODE_BAD_REQUEST);
}

void leat_metrics_add_error(leat_metrics *m, leat_code code)
{
    leat_metrics_add(m, leat_metrics_of_error(code), 1);
}

void leat_metrics_set(leat_metrics *m, leat_metric id, int64_t value)
{
    LEAT_ASSERT((unsigned)id < LEAT_M_COUNT);
    atomic_store_explicit(&m->values[id], value, memory_order_relaxed);
}

void leat_metrics_observe_in(leat_metrics_cells *cells, double seconds)
{
    if (!(seconds > 0)) /* the clock went back, or NaN */
        seconds = 0;
    if (seconds > 1e6)
        seconds = 1e6;
    size_t i = 0;
    while (i < N_BOUNDS && seconds > bounds[i])
        i++;
    add(&cells->ranges_[i], 1);
    add(&cells->sum_ns_, (int64_t)(seconds * 1e9 + 0.5));
}

void leat_metrics_observe(leat_metrics *m, leat_histogram id, double seconds)
{
    LEAT_ASSERT((unsigned)id < LEAT_H_COUNT);
    leat_metrics_observe_in(&m->histograms[id], seconds);
}

int64_t leat_metrics_get(const leat_metrics *m, leat_metric id)
{
    LEAT_ASSERT((unsigned)id < LEAT_M_COUNT);
    return load(&m->values[id]);
}

static int64_t value_of(const leat_metrics_registry *r, leat_metric id)
{
    int64_t sum = 0;
    int64_t largest = 0;
    for (leat_list *l = r->all.next; l != &r->all; l = l->next) {
        int64_t value = load(&leat_metrics_of(l)->values[id]);
        sum += value;
        largest = value > largest ? value : largest;
    }
    return id == LEAT_M_JWKS_AGE ? largest : sum; /* ages do not add up */
}

int64_t leat_metrics_sum(leat_metrics_registry *r, leat_metric id)
{
    LEAT_ASSERT((unsigned)id < LEAT_M_COUNT);
    pthread_mutex_lock(&r->lock);
    int64_t sum = value_of(r, id);
    pthread_mutex_unlock(&r->lock);
    return sum;
}

void leat_metrics_add_counts(const leat_metrics_cells *cells, leat_metrics_counts *sum)
{
    for (size_t i = 0; i <= N_BOUNDS; i++)
        sum->ranges[i] += load(&cells->ranges_[i]);
    sum->sum_ns += load(&cells->sum_ns_);
}

static void count(const leat_metrics_registry *r, leat_histogram id, leat_metrics_counts *out)
{
    *out = (leat_metrics_counts){.sum_ns = 0};
    for (leat_list *l = r->all.next; l != &r->all; l = l->next)
        leat_metrics_add_counts(&leat_metrics_of(l)->histograms[id], out);
}

void leat_metrics_count(leat_metrics_registry *r, leat_histogram id, leat_metrics_counts *out)
{
    LEAT_ASSERT((unsigned)id < LEAT_H_COUNT);
    pthread_mutex_lock(&r->lock);
    count(r, id, out);
    pthread_mutex_unlock(&r->lock);
}

double leat_metrics_bound(size_t i)
{
    LEAT_ASSERT(i < N_BOUNDS);
    return bounds[i];
}

leat_metrics_counts leat_metrics_since(const leat_metrics_counts *now,
                                       const leat_metrics_counts *before)
{
    leat_metrics_counts since = *now;
    for (size_t i = 0; i <= N_BOUNDS; i++)
        since.ranges[i] -= before->ranges[i];
    since.sum_ns -= before->sum_ns;
    return since;
}

int64_t leat_metrics_total(const leat_metrics_counts *counts)
{
    int64_t total = 0;
    for (size_t i = 0; i <= N_BOUNDS; i++)
        total += counts->ranges[i];
    return total;
}

double leat_metrics_quantile(const leat_metrics_counts *counts, double q)
{
    double total = (double)leat_metrics_total(counts);
    if (total <= 0)
        return -1;
    double rank = q * total;
    for (size_t i = 0; i < N_BOUNDS; i++) {
        double n = (double)counts->ranges[i];
        double from = i == 0 ? 0 : bounds[i - 1];
        if (n > 0 && rank <= n)
            return from + (bounds[i] - from) * (rank / n);
        rank -= n;
    }
    return bounds[N_BOUNDS - 1];
}
