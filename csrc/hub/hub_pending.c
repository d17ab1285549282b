/* hub_pending.c - a sorted array: most events are added at its end and taken from its front. */
#include "hub/hub_pending.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { FIRST_CAPACITY = 8 };

static leat_event **events_of(const hub_pending *p)
{
    return p->slots_ + p->first_;
}

static bool holds_at(const hub_pending *p, size_t i, int64_t seq)
{
    return i < p->n && leat_event_seq(events_of(p)[i]) == seq;
}

/* How many events are before that seq. */
static size_t count_before(const hub_pending *p, int64_t seq)
{
    size_t n = p->n;
    while (n > 0 && leat_event_seq(events_of(p)[n - 1]) >= seq)
        n--;
    return n;
}

/* Makes room for one more event at the end: moves all events to the front of the array if half of
 * it is free there, otherwise makes it larger. */
static void make_room(hub_pending *p)
{
    if (p->first_ + p->n < p->capacity_)
        return;
    if (p->first_ <= p->n) {
        p->capacity_ = p->capacity_ == 0 ? FIRST_CAPACITY : p->capacity_ * 2;
        p->slots_ = leat_realloc(p->slots_, p->capacity_ * sizeof(*p->slots_));
        return;
    }
    memmove(p->slots_, events_of(p), p->n * sizeof(*p->slots_));
    p->first_ = 0;
}

void hub_pending_add(hub_pending *p, leat_event *e, size_t max_bytes)
{
    int64_t seq = leat_event_seq(e);
    size_t bytes = leat_event_bytes(e);
    size_t i = count_before(p, seq);
    if (holds_at(p, i, seq) || p->bytes + bytes > max_bytes) {
        leat_event_unref(e);
        return;
    }
    make_room(p);
    leat_event **events = events_of(p);
    memmove(events + i + 1, events + i, (p->n - i) * sizeof(*events));
    events[i] = e;
    p->n++;
    p->bytes += bytes;
}

static leat_event *take_first(hub_pending *p)
{
    leat_event *e = events_of(p)[0];
    p->bytes -= leat_event_bytes(e);
    p->first_++;
    if (--p->n == 0) {
        free(p->slots_);
        *p = (hub_pending){0};
    }
    return e;
}

leat_event *hub_pending_take(hub_pending *p, int64_t seq)
{
    while (p->n > 0 && leat_event_seq(events_of(p)[0]) < seq)
        leat_event_unref(take_first(p));
    return holds_at(p, 0, seq) ? take_first(p) : NULL;
}

int64_t hub_pending_reaches_back(const hub_pending *p, int64_t seq)
{
    for (size_t n = count_before(p, seq + 1); n > 0 && holds_at(p, n - 1, seq); n--)
        seq--;
    return seq;
}

void hub_pending_clear(hub_pending *p)
{
    while (p->n > 0)
        leat_event_unref(take_first(p));
}
