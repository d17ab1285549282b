/* topic.h - a topic on one worker: its ring of recent events, and the cursors into it.
 *
 * Ownership  topics belong to core->topics; cursors attach and detach. A topic without cursors
 *            stays for topic_linger_ms, then tells the hub and frees itself.
 * Threads    loop thread only.
 * Units      seq; milliseconds.
 * Errors     none.
 *
 * A cursor takes event N if and only if N is its next_seq: there is no other queue and nothing to
 * filter. The topic does not know what a cursor is part of: it calls core->cursors.
 *
 * There may be very many topics in which nothing ever happens. So a topic has a second struct, its
 * flow, only once an event, a signal, a shared read or its end needs one. */
#ifndef LEAT_CORE_TOPIC_H
#define LEAT_CORE_TOPIC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/event.h"
#include "base/labelled.h"
#include "base/latest.h"
#include "core/busy.h"
#include "core/catch_up.h"
#include "core/core.h"
#include "core/hook.h"
#include "core/ring.h"
#include "core/run.h"
#include "core/share.h"

typedef struct leat_topic {
    leat_ring ring;        /* its entry's key is name */
    leat_labelled *counts; /* of its pattern; NULL: the scripts have no pattern for it */
    /* private */
    leat_list cursors_;            /* leat_cursor by link: those that this round has reached */
    struct leat_topic_flow *flow_; /* NULL: nothing has happened yet */
    uint32_t n_cursors_;
    bool armed; /* the hub listens for it */
    char name[];
} leat_topic;

/* The events of a fan-out: those behind `after`, up to `last`. */
typedef struct leat_round {
    int64_t after;
    int64_t last;
} leat_round;

typedef struct leat_topic_flow {
    leat_topic *topic;
    leat_hook hook;
    leat_shares shares;
    leat_catch_up *catch_up; /* NULL until a cursor has fallen off the ring */
    leat_latest *kept;       /* conflating signals; NULL: there never were any */
    leat_list unreached;     /* cursors that are still to be reached by this round */
    leat_runs *runs;         /* while a fan-out of several events goes on; else NULL */
    size_t n_new;            /* events since the last fan-out began */
    leat_sweep fan_out;
    leat_deadline timer; /* of the next part of a long fan-out, or of the topic's end */
    leat_busy busy;
    bool again;        /* events came while a fan-out was running: another round follows */
    leat_round round;  /* the fan-out that runs, or the last one */
    int64_t given;     /* the last event that any cursor's owner has taken */
    leat_sweep timing; /* observes how long the events of `timed` took from commit to client */
    leat_round timed;
} leat_topic_flow;

/* A place in the topic's events. Embedded in its owner. */
typedef struct leat_cursor {
    leat_list link;
    leat_topic *topic; /* NULL: not attached */
    int64_t next_seq;  /* the event it takes next */
    uint64_t signal;   /* the number of the last conflating signal it has taken */
} leat_cursor;

/* What the owners of cursors are told (core->cursors). `moves`, `armed` and `resyncs` may attach
 * and detach cursors of this topic. */
typedef struct leat_cursor_handler {
    void (*armed)(leat_cursor *c); /* the hub listens for the topic */
    void (*moves)(leat_cursor *c); /* there are events, or conflating signals */
    /* A signal that is not conflating. Borrowed. */
    void (*signal)(leat_cursor *c, leat_event *e);
    /* What was taken so far is to be replaced by a fresh snapshot. reason: LEAT_RESET_*. */
    void (*resyncs)(leat_cursor *c, int reason);
    /* The topic has another numbering: its seq begin anew, so next_seq means nothing any more. The
     * old numbering may have had revocations that nobody has seen. */
    void (*renumbered)(leat_cursor *c);
} leat_cursor_handler;

/* The ring has another numbering (core->renumbered). */
void leat_topic_renumbered(leat_ring *r);

/* The core has other scripts: the topic may have another pattern, and another hook. */
void leat_topic_scripts_changed(leat_topic *t);

/* The topic of that name, made if need be; the hub is then asked to listen for it. */
leat_topic *leat_topic_get(leat_core *core, leat_slice name);

/* The topic stays while a cursor is attached. */
void leat_topic_attach(leat_topic *t, leat_cursor *c);
void leat_topic_detach(leat_cursor *c);

/* The topic's name. */
static inline leat_slice leat_topic_name(const leat_topic *t)
{
    return leat_ring_name(&t->ring);
}

/* The owner of a cursor has taken the event, and all before it. */
static inline void leat_topic_given(leat_topic *t, int64_t seq)
{
    if (t->flow_ != NULL && seq > t->flow_->given)
        t->flow_->given = seq;
}

/* Several events from next_seq on, in one block; NULL: the cursor takes them one by one. Borrowed
 * until the caller returns. codec: as of leat_runs_from. */
static inline const leat_run *leat_topic_run(const leat_topic *t, int64_t next_seq,
                                             const leat_codec *codec)
{
    bool several = t->flow_ != NULL && t->flow_->runs != NULL && next_seq < t->ring.head;
    return several ? leat_runs_from(t->flow_->runs, next_seq, codec) : NULL;
}

/* True if there are conflating signals that the cursor has not taken, and that it may take: an
 * event that is still in the hook comes first. The cursor is at the ring's head. */
static inline bool leat_topic_has_signals(const leat_cursor *c)
{
    int64_t last_seq;
    const leat_topic_flow *f = c->topic->flow_;
    return f != NULL && f->kept != NULL && f->kept->last > c->signal &&
           !leat_hook_waits(&f->hook, &last_seq);
}
/* Gives those that the cursor has not taken, the oldest first, as long as give returns true. What
 * was given, and what kept_signal_bytes had no room for, counts as taken. give may not attach or
 * detach cursors. */
void leat_topic_give_signals(leat_cursor *c, bool (*give)(leat_cursor *c, leat_event *e));

/* Fetches the events that the ring no longer holds (catch_up.h); made if need be. */
leat_catch_up *leat_topic_catch_up(leat_topic *t);
/* Its shared reads. */
leat_shares *leat_topic_shares(leat_topic *t);
/* True if the current scripts have an `event` hook for the topic (hook.h). */
bool leat_topic_is_hooked(leat_topic *t);

/* A moment. All events of the topic up to seq were committed then, so each read that starts later
 * sees them. numbering 0: nothing is known of the topic. history: core->histories. */
typedef struct leat_topic_mark {
    uint64_t history;
    uint64_t numbering;
    int64_t seq;
    uint64_t at_ms; /* when that was */
} leat_topic_mark;
leat_topic_mark leat_topic_mark_now(leat_core *core, leat_slice name);

/* News from the hub. They are dropped if they are about another life of the topic. */
void leat_topic_on_armed(leat_core *core, leat_topic_life life);
void leat_topic_on_begin(leat_core *core, leat_topic_life life, const leat_named_position *at);
/* Both take a reference. */
void leat_topic_on_event(leat_core *core, uint64_t generation, leat_event *e);
void leat_topic_on_signal(leat_core *core, uint64_t generation, leat_event *e);
void leat_topic_on_reset(leat_core *core, leat_topic_life life, int reason);

/* Frees all topics: none has cursors. */
void leat_topic_free_all(leat_core *core);

#endif
