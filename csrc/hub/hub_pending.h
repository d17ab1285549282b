/* hub_pending.h - the events of one topic that wait, because an earlier one is missing.
 *
 * Ownership  embedded in the topic; holds one reference to each event.
 * Threads    the hub's.
 * Units      seq; bytes.
 * Errors     none.
 */
#ifndef LEAT_HUB_HUB_PENDING_H
#define LEAT_HUB_HUB_PENDING_H

#include "base/event.h"

typedef struct hub_pending {
    leat_event **slots_; /* an array; n events from first_ on, sorted by seq, none twice */
    size_t capacity_;
    size_t first_;
    size_t n;
    size_t bytes;
} hub_pending;

/* Takes the reference. Drops the event if it is there already, or if all would exceed max_bytes: a
 * dropped event is fetched later. */
void hub_pending_add(hub_pending *p, leat_event *e, size_t max_bytes);

/* Takes out the event seq, and drops those before it. NULL if it is not there; the reference is the
 * caller's. */
leat_event *hub_pending_take(hub_pending *p, int64_t seq);

/* Returns the lowest seq after which all events up to the given one are there. Returns the given
 * seq if that event is not there. */
int64_t hub_pending_reaches_back(const hub_pending *p, int64_t seq);

void hub_pending_clear(hub_pending *p);

#endif
