/* slot.h - database slots: how many subscriptions of a worker ask the database for their own sake
 * at the same time.
 *
 * Ownership  a leat_slot is embedded in its owner, which releases it; the slots belong to the
 *            core.
 * Threads    loop thread only.
 * Units      counts.
 * Errors     none.
 *
 * A revocation of everyone, another numbering or a stale row may concern thousands of subscriptions
 * of a topic at the same moment. They do not all ask the database together, but wait for one of
 * `most` slots. A handshake takes no slot, because a client waits for it.
 *
 * A read that has failed once may hang when it is repeated; so may a read that replaces a stale
 * snapshot. Many such reads would hold all slots. So these *repetitions* wait in a queue of their
 * own, which gets at most half of the slots, and always one. */
#ifndef LEAT_CORE_SLOT_H
#define LEAT_CORE_SLOT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "base/metrics.h"

typedef struct leat_slots {
    leat_list first_attempts; /* leat_slot by link: they wait */
    leat_list repetitions;    /* likewise */
    size_t n_taken;
    size_t n_repetitions; /* how many of those are repetitions */
    size_t most;
    leat_metrics *metrics;
} leat_slots;

typedef enum leat_slot_state {
    LEAT_SLOT_NONE,
    LEAT_SLOT_WAITING,
    LEAT_SLOT_TAKEN,
} leat_slot_state;

typedef struct leat_slot leat_slot;
typedef void (*leat_slot_cb)(leat_slot *slot);

struct leat_slot {
    leat_list link;
    leat_slot_state state;
    bool repetition;
    leat_slot_cb cb;
};

void leat_slots_init(leat_slots *slots, size_t most, leat_metrics *metrics);
void leat_slot_init(leat_slot *slot);

/* Returns true if the owner has the slot now. Otherwise it waits in its queue; if it waited
 * already, it keeps its place. cb runs when the slot is given, from inside the leat_slot_release of
 * another owner: cb may start something, and must not free anything. */
bool leat_slot_take(leat_slots *slots, leat_slot *slot, bool repetition, leat_slot_cb cb);

/* Gives the slot to the next owner that waits for one, or leaves the queue. Harmless if the owner
 * neither has a slot nor waits for one. */
void leat_slot_release(leat_slots *slots, leat_slot *slot);

#endif
