/* topic.h - a topic on one worker: its ring of recent events and the cursors into it.
 *
 * Ownership  topics belong to core->topics; subscriptions attach and detach. A topic without
 *            subscriptions lingers (topic_linger_ms), then disarms and frees itself.
 * Threads    loop thread only.
 * Units      seq; bytes; milliseconds.
 * Errors     none.
 *
 * The ring is contiguous and ends at `head`. A subscription takes event N if and only if N is its
 * next_seq: there is no other queue and nothing to filter. What falls out of the ring at its old
 * end (ring_events, ring_bytes) is in the outbox.
 */
#ifndef LEAT_CORE_TOPIC_H
#define LEAT_CORE_TOPIC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/epoch.h"
#include "base/event.h"
#include "core/core.h"

#define LEAT_TOPIC_UNKNOWN (-1)

typedef struct leat_topic {
    leat_map_entry entry; /* in core->topics; key points at name */
    leat_core *core;
    char *name;
    uint64_t generation;    /* of this life of the topic, towards the hub */
    leat_epoch *epoch;      /* NULL until a read told */
    leat_epoch *last_epoch; /* what it was before the last restart, or NULL */
    uint64_t numbering; /* integer id of the numbering; another one whenever numbers begin anew */
    int64_t head;       /* last seq of the ring, or where it begins; LEAT_TOPIC_UNKNOWN before */
    int64_t told;       /* highest seq that anyone has seen in this numbering */
    int64_t revoked;    /* last revocation that anyone has seen in it (LEAT_NEVER_REVOKED) */
    int64_t resynced;   /* last resync that the ring has been given; 0: none */
    bool armed;
    leat_list subs;    /* leat_sub by topic_link: those whose cursor has been moved in this round */
    leat_list pending; /* likewise: those that are still to be reached in this round */
    size_t n_subs;
    leat_list shares;               /* leat_share by link */
    struct leat_catch_up *catch_up; /* catch_up.c; NULL: nobody has fallen off the ring yet */
    /* private */
    leat_event **ring_;
    size_t ring_cap_; /* a power of two, or 0 */
    size_t ring_count_;
    size_t ring_bytes_;
    leat_sweep fan_out_;
    leat_deadline rest_; /* the next stretch of a long fan-out; or the end of lingering */
    int hook_;           /* whether the scripts have an event hook for it: -1 unknown */
    leat_list hooked_;   /* events that wait for the hook, in order (topic_hook.c) */
    int64_t hooked_tip_; /* the last of them */
    size_t hooked_bytes_;
    leat_call hook_call_;
    bool again_; /* events came while a fan-out was under way */
} leat_topic;

/* The topic of that name, made and armed if need be. It stays while a subscription is attached. */
leat_topic *leat_topic_get(leat_core *core, leat_slice name);

/* Attaches link (a leat_sub's) and detaches it. */
void leat_topic_attach(leat_topic *t, leat_list *link);
void leat_topic_detach(leat_topic *t, leat_list *link);

/* A read has seen the topic at that position. Where it was unknown, the ring begins there; the hub
 * is told where that helps. False if the position belongs to another numbering than the ring's. */
bool leat_topic_adopt_position(leat_topic *t, const leat_position *at);

/* A moment: all of the topic up to seq is committed, and whatever is read from now on sees it.
 * numbering 0: nothing is known of the topic. history: core->histories. */
typedef struct leat_topic_mark {
    uint64_t history;
    uint64_t numbering;
    int64_t seq;
    uint64_t at_ms; /* when that was */
} leat_topic_mark;
leat_topic_mark leat_topic_mark_now(leat_core *core, leat_slice name);

/* Event seq of the ring, or NULL if it is not there. */
leat_event *leat_topic_event(const leat_topic *t, int64_t seq);
/* Whether a position can be taken for good, and a cursor at next_seq go on from the ring alone. */
bool leat_topic_holds(const leat_topic *t, int64_t next_seq);

/* Whether events pass a hook of the scripts (then history is not for clients: it has not passed
 * it). */
bool leat_topic_hooked(leat_topic *t);
/* The scripts were replaced. */
void leat_topic_scripts_changed(leat_topic *t);

/* From the hub. What is of another life of the topic is dropped. */
void leat_topic_on_armed(leat_core *core, leat_topic_life life);
void leat_topic_on_begin(leat_core *core, leat_topic_life life, const leat_named_position *at);
/* Both take a reference. */
void leat_topic_on_event(leat_core *core, uint64_t generation, leat_event *e);
void leat_topic_on_signal(leat_core *core, uint64_t generation, leat_event *e);
void leat_topic_on_reset(leat_core *core, leat_topic_life life, int reason);

/* Adds the next event (head + 1) to the ring and schedules the fan-out. Takes a reference. */
void leat_topic_append(leat_topic *t, leat_event *e);
/* Empties the ring; what comes next is head + 1 (LEAT_TOPIC_UNKNOWN: whatever a read or the hub
 * says). Every subscription resyncs. reason: LEAT_RESET_*. */
void leat_topic_restart(leat_topic *t, int64_t head, int reason);

/* Frees all topics: none has subscriptions. */
void leat_topic_free_all(leat_core *core);

#endif
