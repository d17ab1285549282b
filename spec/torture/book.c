/* book.c - first sightings, by seq; every further one is compared with the first. */
#include "book.h"

#include <stdlib.h>
#include <string.h>

void book_init(book *b, leat_slice epoch)
{
    *b = (book){.seen = NULL};
    memcpy(b->epoch, epoch.at, epoch.len < EPOCH_SIZE ? epoch.len : EPOCH_SIZE - 1);
}

void book_close(book *b)
{
    free(b->seen);
    for (int u = 0; u < USERS; u++)
        free(b->by[u]);
}

static void *grown(void *at, int64_t *n, int64_t least, size_t size)
{
    int64_t cap = *n == 0 ? 64 : *n;
    while (cap <= least)
        cap *= 2;
    if (cap == *n)
        return at;
    at = realloc(at, (size_t)cap * size);
    if (at == NULL)
        torture_die("out of memory");
    memset((char *)at + (size_t)*n * size, 0, (size_t)(cap - *n) * size);
    *n = cap;
    return at;
}

static sighting *sighting_at(book *b, int64_t seq)
{
    int64_t had = b->n_seen;
    b->seen = grown(b->seen, &b->n_seen, seq, sizeof(*b->seen));
    for (int64_t i = had; i < b->n_seen; i++)
        b->seen[i].uid = NOTHING_YET;
    return &b->seen[seq];
}

const char *book_saw_event(book *b, int64_t seq, int64_t uid)
{
    sighting *s = sighting_at(b, seq);
    if (s->uid == NOTHING_YET)
        s->uid = uid;
    return s->uid == uid ? NULL : "another client was given another event under that seq";
}

const char *book_saw_state(book *b, int64_t seq, summary state)
{
    sighting *s = sighting_at(b, seq);
    if (!s->has_state) {
        s->state = state;
        s->has_state = true;
    }
    return s->state.n == state.n && s->state.x == state.x
               ? NULL
               : "another client came to another state at that seq";
}

void book_saw_emptied(book *b, int64_t seq, summary state)
{
    sighting *s = sighting_at(b, seq);
    if (!s->has_emptied)
        s->emptied = state;
    s->has_emptied = true;
    if (s->emptied.n != state.n || s->emptied.x != state.x)
        s->emptied_differ = true;
}

void book_saw_by(book *b, int64_t seq, int user, const char *how)
{
    b->by[user] = grown(b->by[user], &b->n_by[user], seq, sizeof(*b->by[user]));
    if (b->by[user][seq].at_ns == 0)
        b->by[user][seq] = (showing){uv_hrtime(), how};
}
