/* ring.h - what a worker knows of a topic: where it stands, and its recent events.
 *
 * Ownership  embedded in its topic. It holds a reference to its epochs and to each event.
 * Threads    loop thread only.
 * Units      seq; bytes.
 * Errors     none.
 *
 * The events are contiguous, of one numbering, and end at `head`. What falls out at the old end
 * (limits ring_events and ring_bytes) is still in the outbox. All rings of a worker together hold
 * at most core->max_ring_bytes: for more, the oldest events go of the topic that has been silent
 * longest. */
#ifndef LEAT_CORE_RING_H
#define LEAT_CORE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/epoch.h"
#include "base/event.h"
#include "core/core.h"

#define LEAT_RING_UNKNOWN (-1)

typedef struct leat_ring_slot {
    leat_event *event;
    size_t bytes; /* of the event and of its forms, as far as they are counted */
} leat_ring_slot;

typedef struct leat_ring leat_ring;

/* The events of a ring that has any. */
typedef struct leat_ring_store {
    leat_list link_; /* in core->rings */
    leat_ring *ring_;
    size_t cap_; /* a power of two */
    size_t count_;
    size_t bytes_;
    leat_ring_slot slots_[];
} leat_ring_store;

struct leat_ring {
    leat_map_entry entry; /* in core->topics; key: the topic's name, which the topic owns */
    leat_core *core;
    uint64_t generation;    /* of the topic's life, towards the hub */
    leat_epoch *epoch;      /* NULL while the topic's position is unknown */
    leat_epoch *last_epoch; /* the epoch before the ring was last restarted, or NULL */
    uint64_t numbering;     /* integer id of the numbering; 0 before the first */
    int64_t head;           /* seq of the last event, or of the position at which the ring begins */
    int64_t seen;           /* highest seq in this numbering that a read or the hub has seen */
    int64_t revoked;        /* highest seq of a revocation, likewise; or LEAT_NEVER_REVOKED */
    int64_t resynced;       /* last event of this numbering that asks for a snapshot; 0: none */
    leat_ring_store *store_; /* NULL: it has no events */
};

static inline size_t leat_ring_count(const leat_ring *r)
{
    return r->store_ == NULL ? 0 : r->store_->count_;
}

static inline size_t leat_ring_bytes(const leat_ring *r)
{
    return r->store_ == NULL ? 0 : r->store_->bytes_;
}

/* The topic's name. */
static inline leat_slice leat_ring_name(const leat_ring *r)
{
    return leat_map_key(&r->entry);
}

static inline leat_topic_life leat_ring_life(const leat_ring *r)
{
    return (leat_topic_life){leat_ring_name(r), r->generation};
}

/* An empty ring at an unknown position. Its entry is in no map yet. The name is borrowed. */
void leat_ring_init(leat_ring *r, leat_core *core, leat_topic_life life);
void leat_ring_close(leat_ring *r); /* frees what it holds */

/* A read has seen the topic at that position. If none was known, the ring begins there. Tells the
 * hub, unless the hub knows it for sure. Returns false if the position is of another numbering. */
bool leat_ring_adopt(leat_ring *r, const leat_position *at);

/* The hub stands at that position. The ring's epoch is the same one, or unknown. */
void leat_ring_note_position(leat_ring *r, const leat_position *at);
/* That event has been committed; it is perhaps not yet appended. */
void leat_ring_note_event(leat_ring *r, const leat_event *e);

/* Drops the events. The next event to be appended is head + 1. With LEAT_RING_UNKNOWN the position
 * is unknown from now on. another_epoch: whatever epoch comes next counts as another numbering. */
void leat_ring_restart(leat_ring *r, int64_t head, bool another_epoch);

/* Adds the event head + 1. Takes a reference. An event that is larger than the whole ring is not
 * kept: cursors find it in the outbox. */
void leat_ring_append(leat_ring *r, leat_event *e);

/* The event with that seq, borrowed; NULL if the ring does not hold it. */
static inline leat_event *leat_ring_event(const leat_ring *r, int64_t seq)
{
    const leat_ring_store *s = r->store_;
    if (s == NULL || seq > r->head || seq <= r->head - (int64_t)s->count_)
        return NULL;
    return s->slots_[(size_t)seq & (s->cap_ - 1)].event;
}

/* The event may have got forms since it was appended: their bytes count, too. An event that the
 * ring does not hold costs it nothing. */
void leat_ring_charge_forms(leat_ring *r, const leat_event *e);

/* True if a cursor at next_seq can go on from the ring alone: the ring holds everything from there
 * to its head, and the database is known to have the history that the ring is of. */
bool leat_ring_leads_on(const leat_ring *r, int64_t next_seq);

#endif
