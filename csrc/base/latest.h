/* latest.h - the newest event of each key (leat_event_key), for those who could not take it yet.
 *
 * Ownership  a leat_latest belongs to its owner and holds a reference of each event in it. It keeps
 *            to the budget of a store, which outlives it.
 * Threads    the owner's.
 * Units      bytes of events (leat_event_bytes).
 * Errors     none. If all that is kept in a store is more than its max_bytes, the event goes that
 *            was put there longest ago.
 *
 * Each event that is put gets a number, one higher than the last one. Whoever knows the number that
 * it took last knows which events it still lacks.
 */
#ifndef LEAT_BASE_LATEST_H
#define LEAT_BASE_LATEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/event.h"
#include "base/list.h"
#include "base/map.h"
#include "base/metrics.h"

/* What several leat_latest share. */
typedef struct leat_latest_store {
    leat_metrics *metrics;
    size_t max_bytes;
    size_t bytes;
    leat_list by_age_;
} leat_latest_store;

typedef struct leat_latest {
    leat_latest_store *store;
    uint64_t last; /* the number of the event that was put last; 0: none was */
    leat_map by_key_;
    leat_list by_number_;
} leat_latest;

/* An event that is kept. */
typedef struct leat_latest_entry {
    leat_map_entry by_key_;
    leat_list by_number_;
    leat_list by_age_;
    leat_latest *latest_;
    leat_event *event;
    uint64_t number;
} leat_latest_entry;

void leat_latest_store_init(leat_latest_store *s, size_t max_bytes, leat_metrics *metrics);

leat_latest *leat_latest_new(leat_latest_store *store);
void leat_latest_free(leat_latest *l); /* NULL is allowed */

/* Keeps the event in place of the last one of its key. Takes a reference of its own. Returns the
 * number of the event that it replaces; 0: it replaces none. */
uint64_t leat_latest_put(leat_latest *l, leat_event *e);

/* The entry with the lowest number above that one; NULL: there is none. Borrowed until something is
 * put or dropped. */
leat_latest_entry *leat_latest_after(const leat_latest *l, uint64_t number);
leat_latest_entry *leat_latest_next(const leat_latest_entry *e);

/* Everybody has taken the events up to that number: they go. */
void leat_latest_drop(leat_latest *l, uint64_t up_to);

#endif
