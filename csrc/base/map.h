/* map.h - an intrusive hash map from byte strings to objects.
 *
 * Ownership  an entry is embedded in its owner, and so is the key it points at; the map owns only
 *            its bucket array.
 * Threads    the owner's.
 * Units      none.
 * Errors     none (out of memory aborts). Keys are hashed with a seed of the map's own, so that a
 *            peer who chooses keys cannot choose collisions.
 */
#ifndef LEAT_BASE_MAP_H
#define LEAT_BASE_MAP_H

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

/* Frees the buckets. The entries, if any are left, are untouched. */
void leat_map_close(leat_map *m);

/* Returns the entry with that key, or NULL. */
leat_map_entry *leat_map_get(const leat_map *m, leat_slice key);

/* Adds e under e->key = key, which must not be in the map. */
void leat_map_add(leat_map *m, leat_map_entry *e, leat_slice key);

/* Removes e, which must be in the map. */
void leat_map_remove(leat_map *m, leat_map_entry *e);

/* Iterates in no particular order: pass NULL first, then what was returned, until NULL comes
 * back. The entry last returned may be removed during the walk only if next was fetched before. */
leat_map_entry *leat_map_next(const leat_map *m, const leat_map_entry *prev);

#endif
