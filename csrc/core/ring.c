/* ring.c - the position of a topic, and an array of events whose index is the seq modulo its size.
 *
 * A read's position (leat_ring_adopt) or the hub's (leat_ring_note_position) sets the epoch.
 * leat_ring_append puts the next event behind the head and drops the oldest ones to make room. The
 * array comes with the first event and goes with the last. */
#include "core/ring.h"

#include <stdlib.h>

#include "base/container_of.h"
#include "base/err.h"
#include "base/mem.h"

enum { FIRST_CAP = 8 };

void leat_ring_init(leat_ring *r, leat_core *core, leat_topic_life life)
{
    *r = (leat_ring){
        .entry = leat_map_entry_of(life.name),
        .core = core,
        .generation = life.generation,
        .head = LEAT_RING_UNKNOWN,
    };
}

static leat_ring_slot *slot_of(leat_ring_store *s, int64_t seq)
{
    return &s->slots_[(size_t)seq & (s->cap_ - 1)];
}

static void count_bytes(leat_ring *r, int64_t change)
{
    r->store_->bytes_ += (size_t)change;
    r->core->ring_bytes += (size_t)change;
    leat_metrics_add(r->core->metrics, LEAT_M_RING_BYTES, change);
}

static void drop_oldest(leat_ring *r)
{
    leat_ring_store *s = r->store_;
    LEAT_ASSUME(s != NULL); /* as there is an event */
    leat_ring_slot oldest = *slot_of(s, r->head - (int64_t)s->count_ + 1);
    s->count_--;
    count_bytes(r, -(int64_t)oldest.bytes);
    leat_event_unref(oldest.event);
}

static void clear(leat_ring *r)
{
    if (r->store_ == NULL)
        return;
    while (r->store_->count_ > 0)
        drop_oldest(r);
    leat_list_unlink(&r->store_->link_);
    free(r->store_);
    r->store_ = NULL;
}

void leat_ring_close(leat_ring *r)
{
    clear(r);
    leat_epoch_unref(r->epoch);
    leat_epoch_unref(r->last_epoch);
    r->epoch = r->last_epoch = NULL;
}

/* Gives an epoch to a ring that has none. If the ring has had another epoch before, its topic is
 * renumbered. After a restart of the hub it may be a read, not the hub, that shows this first. */
static void take_epoch(leat_ring *r, leat_epoch *epoch)
{
    leat_core_note_history(r->core, epoch);
    r->epoch = leat_epoch_ref(epoch);
    if (r->last_epoch == epoch)
        return;
    r->numbering = ++r->core->numberings;
    r->seen = r->resynced = 0;
    r->revoked = LEAT_NEVER_REVOKED;
    if (r->last_epoch != NULL)
        r->core->renumbered(r);
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void note(leat_ring *r, int64_t seq, int64_t revoked)
{
    r->revoked = later(r->revoked, revoked);
    r->seen = later(r->seen, later(seq, revoked));
}

static void tell_hub(leat_ring *r, const leat_position *at)
{
    leat_named_position named = {leat_epoch_text(at->epoch), at->seq, at->revoked};
    leat_hub_link_position(r->core->link, leat_ring_life(r), &named);
}

bool leat_ring_adopt(leat_ring *r, const leat_position *at)
{
    bool first = r->epoch == NULL;
    leat_core_note_history(r->core, at->epoch);
    if (first) {
        take_epoch(r, at->epoch);
        if (r->head == LEAT_RING_UNKNOWN)
            r->head = at->seq;
    }
    bool same = r->epoch == at->epoch;
    if (same)
        note(r, at->seq, at->revoked);
    if (first || !same || at->seq > r->head)
        tell_hub(r, at);
    return same;
}

void leat_ring_note_position(leat_ring *r, const leat_position *at)
{
    if (r->epoch == NULL)
        take_epoch(r, at->epoch);
    LEAT_ASSERT(r->epoch == at->epoch);
    note(r, at->seq, at->revoked);
}

void leat_ring_note_event(leat_ring *r, const leat_event *e)
{
    int64_t seq = leat_event_seq(e);
    note(r, seq, leat_event_kind_of(e) == LEAT_EVENT_REVOKE ? seq : LEAT_NEVER_REVOKED);
}

void leat_ring_restart(leat_ring *r, int64_t head, bool another_epoch)
{
    clear(r);
    r->head = head;
    if (head == LEAT_RING_UNKNOWN && r->epoch != NULL) {
        leat_epoch_unref(r->last_epoch);
        r->last_epoch = r->epoch;
        r->epoch = NULL;
    }
    if (another_epoch) {
        leat_epoch_unref(r->last_epoch);
        r->last_epoch = NULL;
    }
}

static void grow(leat_ring *r)
{
    leat_ring_store *old = r->store_;
    size_t cap = old == NULL ? FIRST_CAP : old->cap_ * 2;
    leat_ring_store *s = leat_calloc(1, sizeof(*s) + cap * sizeof(s->slots_[0]));
    leat_list_init(&s->link_);
    s->ring_ = r;
    s->cap_ = cap;
    r->store_ = s;
    if (old == NULL)
        return;
    s->count_ = old->count_;
    s->bytes_ = old->bytes_;
    for (size_t i = 0; i < old->count_; i++) {
        int64_t seq = r->head - (int64_t)i;
        *slot_of(s, seq) = *slot_of(old, seq);
    }
    leat_list_unlink(&old->link_);
    free(old);
}

static bool is_full(const leat_ring *r, size_t more_bytes)
{
    const leat_limits *limits = r->core->limits;
    const leat_ring_store *s = r->store_;
    return s != NULL && s->count_ > 0 &&
           (s->count_ >= limits->ring_events || s->bytes_ + more_bytes > limits->ring_bytes);
}

static bool asks_for_snapshot(const leat_event *e)
{
    leat_event_kind kind = leat_event_kind_of(e);
    return kind == LEAT_EVENT_RESYNC || kind == LEAT_EVENT_OVERSIZE;
}

/* Cursors that have not yet taken what is dropped here find it in the outbox. */
static void make_room_for_all(leat_ring *r)
{
    leat_core *core = r->core;
    if (core->max_ring_bytes == 0)
        return;
    leat_list_unlink(&r->store_->link_);
    leat_list_push(&core->rings, &r->store_->link_);
    while (core->ring_bytes > core->max_ring_bytes) {
        leat_ring *silent = LEAT_CONTAINER_OF(core->rings.next, leat_ring_store, link_)->ring_;
        if (silent == r && r->store_->count_ == 1)
            return; /* the event that has just come */
        drop_oldest(silent);
        leat_metrics_add(core->metrics, LEAT_M_RING_EVICTED, 1);
        if (silent->store_->count_ == 0)
            clear(silent);
    }
}

void leat_ring_append(leat_ring *r, leat_event *e)
{
    size_t bytes = leat_event_bytes(e);
    LEAT_ASSERT(leat_event_seq(e) == r->head + 1);
    while (is_full(r, bytes))
        drop_oldest(r);
    if (asks_for_snapshot(e))
        r->resynced = r->head + 1;
    if (bytes > r->core->limits->ring_bytes) {
        clear(r); /* a ring without events may not stand among core->rings */
        r->head++;
        leat_event_unref(e);
        return;
    }
    if (r->store_ == NULL || r->store_->count_ == r->store_->cap_)
        grow(r);
    r->head++;
    *slot_of(r->store_, r->head) = (leat_ring_slot){e, bytes};
    r->store_->count_++;
    count_bytes(r, (int64_t)bytes);
    make_room_for_all(r);
}

void leat_ring_charge_forms(leat_ring *r, const leat_event *e)
{
    int64_t seq = leat_event_seq(e);
    if (leat_ring_event(r, seq) != e)
        return;
    leat_ring_slot *slot = slot_of(r->store_, seq);
    size_t bytes = leat_event_bytes(e) + leat_event_form_bytes(e);
    if (bytes != slot->bytes)
        count_bytes(r, (int64_t)bytes - (int64_t)slot->bytes);
    slot->bytes = bytes;
}

bool leat_ring_leads_on(const leat_ring *r, int64_t next_seq)
{
    return r->core->confirmed && r->head != LEAT_RING_UNKNOWN &&
           next_seq > r->head - (int64_t)leat_ring_count(r) && next_seq <= r->head + 1;
}
