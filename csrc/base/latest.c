/* latest.c - entries are in three places: by key in a map; by number in the leat_latest's list; by
 * age in the store's list, from which the oldest go. */
#include "base/latest.h"

#include <stdlib.h>

#include "base/mem.h"

void leat_latest_store_init(leat_latest_store *s, size_t max_bytes, leat_metrics *metrics)
{
    s->metrics = metrics;
    s->max_bytes = max_bytes;
    s->bytes = 0;
    leat_list_init(&s->by_age_);
}

leat_latest *leat_latest_new(leat_latest_store *store)
{
    leat_latest *l = leat_calloc(1, sizeof(*l));
    l->store = store;
    leat_map_init(&l->by_key_);
    leat_list_init(&l->by_number_);
    return l;
}

static leat_latest_entry *entry_of(leat_list *by_number)
{
    return LEAT_CONTAINER_OF(by_number, leat_latest_entry, by_number_);
}

static void count_bytes(leat_latest_store *s, int64_t bytes)
{
    s->bytes += (size_t)bytes;
    leat_metrics_add(s->metrics, LEAT_M_KEPT_SIGNAL_BYTES, bytes);
}

static void drop(leat_latest_entry *e)
{
    count_bytes(e->latest_->store, -(int64_t)leat_event_bytes(e->event));
    leat_map_remove(&e->latest_->by_key_, &e->by_key_);
    leat_list_unlink(&e->by_number_);
    leat_list_unlink(&e->by_age_);
    leat_event_unref(e->event);
    free(e);
}

void leat_latest_drop(leat_latest *l, uint64_t up_to)
{
    while (!leat_list_empty(&l->by_number_) && entry_of(l->by_number_.next)->number <= up_to)
        drop(entry_of(leat_list_take(&l->by_number_)));
}

void leat_latest_free(leat_latest *l)
{
    if (l == NULL)
        return;
    leat_latest_drop(l, UINT64_MAX);
    leat_map_close(&l->by_key_);
    free(l);
}

/* The newest event stays even if it alone is too large. */
static void drop_oldest(leat_latest_store *s, const leat_latest_entry *newest)
{
    while (s->bytes > s->max_bytes && s->by_age_.next != &newest->by_age_) {
        drop(LEAT_CONTAINER_OF(leat_list_take(&s->by_age_), leat_latest_entry, by_age_));
        leat_metrics_add(s->metrics, LEAT_M_SIGNALS_DROPPED, 1);
    }
}

uint64_t leat_latest_put(leat_latest *l, leat_event *event)
{
    leat_map_entry *known = leat_map_get(&l->by_key_, leat_event_key(event));
    uint64_t replaced = 0;
    if (known != NULL) {
        leat_latest_entry *before = LEAT_CONTAINER_OF(known, leat_latest_entry, by_key_);
        replaced = before->number;
        drop(before);
    }
    leat_latest_entry *e = leat_calloc(1, sizeof(*e));
    e->latest_ = l;
    e->event = leat_event_ref(event);
    e->number = ++l->last;
    leat_map_add(&l->by_key_, &e->by_key_, leat_event_key(event));
    leat_list_push(&l->by_number_, &e->by_number_);
    leat_list_push(&l->store->by_age_, &e->by_age_);
    count_bytes(l->store, (int64_t)leat_event_bytes(event));
    drop_oldest(l->store, e);
    return replaced;
}

leat_latest_entry *leat_latest_next(const leat_latest_entry *e)
{
    return e->by_number_.next == &e->latest_->by_number_ ? NULL : entry_of(e->by_number_.next);
}

/* Most of those who ask lack the last ones only: the search begins there. */
leat_latest_entry *leat_latest_after(const leat_latest *l, uint64_t number)
{
    leat_list *first = (leat_list *)&l->by_number_;
    while (first->prev != &l->by_number_ && entry_of(first->prev)->number > number)
        first = first->prev;
    return first == &l->by_number_ ? NULL : entry_of(first);
}
