/* map.h - an intrusive hash map from byte strings to objects.
 *
 * Ownership  an entry and its key are embedded in their owner; the map owns only its array of
 *            buckets.
 * Threads    the owner's.
 * Units      none.
 * Errors     none (out of memory aborts). Each map has a random seed of its own, so that peers who
 *            choose keys cannot choose collisions.
 */
#ifndef LEAT_BASE_MAP_H
#define LEAT_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

typedef struct leat_map_entry {
    struct leat_map_entry *next_;
    uint64_t hash_;
    leat_slice key; /* borrowed: must live as long as the entry is in the map */
} leat_map_entry;

typedef struct leat_map {
    leat_map_entry **buckets_;
    size_t n_buckets_;
    size_t count;
    uint64_t seed_[2];
} leat_map;

void leat_map_init(leat_map *m);

/* Frees the buckets, but no entries. */
void leat_map_close(leat_map *m);

/* Returns the entry with that key, or NULL. */
leat_map_entry *leat_map_get(const leat_map *m, leat_slice key);

/* Adds e under e->key = key, which must not be in the map. */
void leat_map_add(leat_map *m, leat_map_entry *e, leat_slice key);

/* Removes e, which must be in the map. */
void leat_map_remove(leat_map *m, leat_map_entry *e);

/* Walks over the entries, in no particular order: pass NULL first, then the last entry, until it
 * returns NULL. To remove an entry during the walk, get the next one first. */
leat_map_entry *leat_map_next(const leat_map *m, const leat_map_entry *prev);

/* A walk in parts, between which the map may change. An entry that is there all the time is met
 * exactly once. Goes over about `part` entries and buckets and calls each(arg, e), which may not
 * change the map. *place is 0 at first. Returns false at the end of the walk. */
bool leat_map_walk(const leat_map *m, uint64_t *place, size_t part,
                   void (*each)(void *arg, leat_map_entry *e), void *arg);

#endif
