/* room.c - a hash table that grows, and arrays of connections. */
#include "raw/room.h"

#include <stdlib.h>
#include <string.h>

#include "common/tool.h"

void buffer_add(buffer *b, const void *bytes, size_t n)
{
    if (b->length + n > b->size) {
        b->size = 2 * (b->length + n);
        b->bytes = tool_realloc(b->bytes, b->size);
    }
    memcpy(b->bytes + b->length, bytes, n);
    b->length += n;
}

static uint64_t hash(const char *name, size_t length)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < length; i++)
        h = (h ^ (unsigned char)name[i]) * 1099511628211u;
    return h ^ h >> 32;
}

static room **slot_of(const rooms *all, const char *name, size_t length)
{
    size_t i = hash(name, length) & (all->n_slots - 1);
    for (; all->slots[i] != NULL; i = (i + 1) & (all->n_slots - 1))
        if (strncmp(all->slots[i]->name, name, length) == 0 && all->slots[i]->name[length] == '\0')
            break;
    return &all->slots[i];
}

static void grow(rooms *all)
{
    rooms larger = {.n_slots = all->n_slots > 0 ? 2 * all->n_slots : 1024, .n = all->n};
    larger.slots = tool_calloc(larger.n_slots, sizeof(*larger.slots));
    for (size_t i = 0; i < all->n_slots; i++)
        if (all->slots[i] != NULL)
            *slot_of(&larger, all->slots[i]->name, strlen(all->slots[i]->name)) = all->slots[i];
    free(all->slots);
    *all = larger;
}

room *rooms_get(rooms *all, const char *name, size_t length)
{
    if (2 * (all->n + 1) > all->n_slots)
        grow(all);
    room **slot = slot_of(all, name, length);
    if (*slot == NULL) {
        *slot = tool_calloc(1, sizeof(**slot));
        (*slot)->name = tool_calloc(length + 1, 1);
        memcpy((*slot)->name, name, length);
        all->n++;
    }
    return *slot;
}

void room_join(room *r, struct peer *p)
{
    if (r->n_peers == r->peers_size) {
        r->peers_size = r->peers_size > 0 ? 2 * r->peers_size : 4;
        r->peers = tool_realloc(r->peers, (size_t)r->peers_size * sizeof(struct peer *));
    }
    r->peers[r->n_peers++] = p;
}

void room_leave(room *r, const struct peer *p)
{
    for (int i = 0; i < r->n_peers; i++)
        if (r->peers[i] == p) {
            r->peers[i] = r->peers[--r->n_peers];
            return;
        }
}
