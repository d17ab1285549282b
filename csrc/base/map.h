/* map.h - an intrusive hash map from byte strings to objects.
 *
 * Ownership  an entry and its key are embedded in their owner; the map owns only its table of
 *            buckets, which it makes when it has more than a few entries.
 * Threads    the owner's.
 * Units      none.
 * Errors     none (out of memory aborts).
 *
 * Each table has a random seed of its own, so that peers who choose keys cannot choose collisions.
 */
#ifndef LEAT_BASE_MAP_H
#define LEAT_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

typedef struct leat_map_entry {
    struct leat_map_entry *next_;
    const char *key_; /* borrowed: must live as long as the entry is in the map */
    uint32_t key_len_;
    uint32_t hash_;
} leat_map_entry;

static inline leat_slice leat_map_key(const leat_map_entry *e)
{
    return (leat_slice){e->key_, e->key_len_};
}

/* An entry that is in no map yet, but has its key. */
static inline leat_map_entry leat_map_entry_of(leat_slice key)
{
    return (leat_map_entry){.key_ = key.at, .key_len_ = (uint32_t)key.len};
}

/* Most maps are a client's, and have one or two entries. */
typedef struct leat_map {
    union {
        leat_map_entry *few_; /* the entries, not hashed */
        struct leat_map_table *table_;
    };
    uint32_t n_buckets_; /* 0: they are few */
    uint32_t count;
} leat_map;

void leat_map_init(leat_map *m);

/* Frees the table, but no entries. */
void leat_map_close(leat_map *m);

/* Returns the entry with that key, or NULL. */
leat_map_entry *leat_map_get(const leat_map *m, leat_slice key);

/* Adds e under that key, which must not be in the map. */
void leat_map_add(leat_map *m, leat_map_entry *e, leat_slice key);

/* From now on e's key lies elsewhere: key is the same bytes. */
void leat_map_move_key(leat_map_entry *e, leat_slice key);

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
