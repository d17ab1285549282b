/* hub_held.c - a list. */
#include "hub/hub_held.h"

#include <stdlib.h>

#include "base/container_of.h"
#include "base/mem.h"

typedef struct held_signal {
    leat_list link;
    leat_event *signal;
    int64_t behind;
} held_signal;

void hub_held_init(hub_held *h)
{
    leat_list_init(&h->signals_);
    h->bytes_ = 0;
}

static leat_event *take_first(hub_held *h)
{
    held_signal *s = LEAT_CONTAINER_OF(leat_list_take(&h->signals_), held_signal, link);
    leat_event *signal = s->signal;
    free(s);
    h->bytes_ -= leat_event_bytes(signal);
    return signal;
}

void hub_held_clear(hub_held *h)
{
    while (!leat_list_empty(&h->signals_))
        leat_event_unref(take_first(h));
}

size_t hub_held_add(hub_held *h, leat_event *signal, int64_t behind, size_t max_bytes)
{
    held_signal *s = leat_calloc(1, sizeof(*s));
    size_t n_dropped = 0;
    s->signal = signal;
    s->behind = behind;
    leat_list_push(&h->signals_, &s->link);
    h->bytes_ += leat_event_bytes(signal);
    for (; h->bytes_ > max_bytes; n_dropped++)
        leat_event_unref(take_first(h));
    return n_dropped;
}

leat_event *hub_held_take(hub_held *h, int64_t up_to)
{
    if (leat_list_empty(&h->signals_) ||
        LEAT_CONTAINER_OF(h->signals_.next, held_signal, link)->behind > up_to)
        return NULL;
    return take_first(h);
}
