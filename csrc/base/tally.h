/* tally.h - how often each of some texts came, and how long it took: a bounded table.
 *
 * Ownership  a tally owns its entries, which stay where they are until leat_tally_close; texts are
 *            copied.
 * Threads    the owner's.
 * Units      nanoseconds.
 * Errors     none. Texts beyond `max` are counted together, as "(others)".
 *
 * Of a text only its first LEAT_TALLY_TEXT bytes count.
 */
#ifndef LEAT_BASE_TALLY_H
#define LEAT_BASE_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "base/slice.h"

enum { LEAT_TALLY_TEXT = 2000 };

typedef struct leat_tally_entry {
    leat_map_entry entry_;
    uint64_t count;
    uint64_t errors;
    uint64_t total_ns;
    uint64_t longest_ns;
    char text[];
} leat_tally_entry;

typedef struct leat_tally {
    leat_map map_;
    size_t max_;
    leat_tally_entry *others_; /* NULL: there are none */
} leat_tally;

void leat_tally_init(leat_tally *t, size_t max);
void leat_tally_close(leat_tally *t);

/* Returns the entry of a text, made if need be; that of all others, once there are `max`. */
leat_tally_entry *leat_tally_find(leat_tally *t, const char *text);

static inline void leat_tally_add(leat_tally_entry *e, uint64_t took_ns, bool failed)
{
    e->count++;
    e->errors += failed;
    e->total_ns += took_ns;
    e->longest_ns = took_ns > e->longest_ns ? took_ns : e->longest_ns;
}

/* Writes the first n entries by their total time, and returns how many there are. */
size_t leat_tally_first(const leat_tally *t, const leat_tally_entry **out, size_t n);

#endif
