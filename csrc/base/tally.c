/* tally.c - a map from texts to entries. leat_tally_first sorts by insertion, as few are asked for.
 */
#include "base/tally.h"

#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/mem.h"

void leat_tally_init(leat_tally *t, size_t max)
{
    *t = (leat_tally){.max_ = max};
    leat_map_init(&t->map_);
}

void leat_tally_close(leat_tally *t)
{
    for (leat_map_entry *e = leat_map_next(&t->map_, NULL), *next; e != NULL; e = next) {
        next = leat_map_next(&t->map_, e);
        leat_map_remove(&t->map_, e);
        free(LEAT_CONTAINER_OF(e, leat_tally_entry, entry_));
    }
    leat_map_close(&t->map_);
    free(t->others_);
    t->others_ = NULL;
}

static leat_tally_entry *make(leat_slice text)
{
    leat_tally_entry *e = leat_calloc(1, sizeof(*e) + text.len + 1);
    memcpy(e->text, text.at, text.len);
    return e;
}

leat_tally_entry *leat_tally_find(leat_tally *t, const char *text)
{
    leat_slice key = {text, strnlen(text, LEAT_TALLY_TEXT)};
    leat_map_entry *known = leat_map_get(&t->map_, key);
    if (known != NULL)
        return LEAT_CONTAINER_OF(known, leat_tally_entry, entry_);
    if (t->map_.count < t->max_) {
        leat_tally_entry *e = make(key);
        leat_map_add(&t->map_, &e->entry_, (leat_slice){e->text, key.len});
        return e;
    }
    if (t->others_ == NULL)
        t->others_ = make(leat_slice_of("(others)"));
    return t->others_;
}

static size_t insert(const leat_tally_entry **out, size_t count, size_t n,
                     const leat_tally_entry *e)
{
    size_t i = count;
    while (i > 0 && out[i - 1]->total_ns < e->total_ns)
        i--;
    if (i >= n)
        return count;
    count = count < n ? count + 1 : n;
    memmove(out + i + 1, out + i, (count - i - 1) * sizeof(leat_tally_entry *));
    out[i] = e;
    return count;
}

size_t leat_tally_first(const leat_tally *t, const leat_tally_entry **out, size_t n)
{
    size_t count = 0;
    for (leat_map_entry *e = leat_map_next(&t->map_, NULL); e != NULL;
         e = leat_map_next(&t->map_, e))
        count = insert(out, count, n, LEAT_CONTAINER_OF(e, leat_tally_entry, entry_));
    return t->others_ == NULL ? count : insert(out, count, n, t->others_);
}
