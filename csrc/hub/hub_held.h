/* hub_held.h - the signals of one topic that wait, because an event that came before them is
 * missing.
 *
 * Ownership  embedded in the topic; holds one reference to each signal.
 * Threads    the hub's.
 * Units      seq; bytes.
 * Errors     none.
 */
#ifndef LEAT_HUB_HUB_HELD_H
#define LEAT_HUB_HUB_HELD_H

#include <stddef.h>
#include <stdint.h>

#include "base/event.h"
#include "base/list.h"

typedef struct hub_held {
    leat_list signals_; /* the one that came first is the first */
    size_t bytes_;
} hub_held;

void hub_held_init(hub_held *h);
void hub_held_clear(hub_held *h);

/* Takes the reference. The signal came behind the event with that seq. Returns how many signals,
 * those that have waited longest, had to go because all would exceed max_bytes. */
size_t hub_held_add(hub_held *h, leat_event *signal, int64_t behind, size_t max_bytes);

/* Takes out the next signal that came behind an event up to that seq. NULL if there is none; the
 * reference is the caller's. */
leat_event *hub_held_take(hub_held *h, int64_t up_to);

#endif
