/* sub_private.h - a subscription from the inside: what the files of sub_*.c share.
 *
 * Ownership  a leat_sub belongs to its subscriber's map and frees itself when it ends. sub_work
 *            belongs to the subscription, and exists in every state but a settled LIVE.
 * Threads    loop thread only.
 * Units      absolute milliseconds; nanoseconds (_ns), of uv_hrtime; seq.
 * Errors     none.
 *
 * A settled subscription is its struct and nothing else: what any other state needs hangs from
 * `work`. */
#ifndef LEAT_CORE_SUB_PRIVATE_H
#define LEAT_CORE_SUB_PRIVATE_H

#include "core/catch_up.h"
#include "core/share.h"
#include "core/slot.h"
#include "core/sub_states.h"
#include "core/subscriber.h"
#include "core/topic.h"
#include "outbox/positions.h"

/* What the client is to get before events go on. It is no state: it stays true while the handler
 * runs again, and while the snapshot is waited for and read. */
typedef enum sub_due {
    SUB_DUE_NOTHING,
    SUB_DUE_SNAPSHOT,
    SUB_DUE_FRESH, /* one that replaces a stale one: without the fallback to the authorised row */
} sub_due;

struct leat_sub {
    leat_map_entry entry; /* in the subscriber's subs; key: the topic's name */
    leat_cursor cursor;   /* its topic is NULL before ARMING */
    leat_subscriber *subscriber;
    char *params;      /* of the subscribe, for when the handler runs again; NULL: none */
    leat_grant *grant; /* NULL before it is authorised */
    uint8_t state;     /* a sub_state */
    uint8_t due;       /* a sub_due */
    /* What the client has was composed from the authorised row. It is no state: it stays so while
     * the cursor moves, the handler runs, or another snapshot is read. */
    bool stale;
    /* The topic has another numbering than when the handler began, so the handler runs before the
     * client gets anything of it. It is no state: a topic is renumbered in any state. */
    bool renumbered;
    bool by_server; /* a script asked for it, not the client */
    struct sub_work *work;
};

/* A subscribe that is not yet answered. It exists in the states whose trait says so (`asked`). */
typedef struct sub_asked {
    char *id;            /* raw JSON, or NULL */
    leat_position since; /* where the client is, with a reference; `revoked` is not known */
    uint64_t deadline_ms;
    uint64_t started_ns;
    uint64_t stage_ns; /* when the stage began, plus the time that counts for QUEUE instead */
    uint64_t spent_ns[SUB_STAGES];
    leat_subscribed_cb done;
    void *done_arg;
} sub_asked;

/* The replacement of a stale snapshot, while the cursor moves (sub_renewal.c). */
typedef struct sub_renewal {
    enum { SUB_RENEWAL_NONE, SUB_RENEWAL_WAITING, SUB_RENEWAL_SLOT, SUB_RENEWAL_READING } step;
    leat_deadline wait; /* WAITING: its end */
    leat_read *read;    /* READING */
} sub_renewal;

typedef struct sub_work {
    leat_sub *sub;
    char *name;       /* the topic's, until the cursor is attached to the topic; then NULL */
    sub_asked *asked; /* NULL once it is answered */
    union {
        leat_call call;              /* AUTHORIZING, REAUTHORIZING */
        leat_position_ask position;  /* RESUMING */
        leat_share_wait share;       /* READING, REREADING */
        leat_catch_up_wait catch_up; /* REPLAYING_OUTBOX, CATCHING_UP */
    } of;                            /* what the state has under way */
    leat_deadline deadline;          /* of the state */
    leat_slot slot;                  /* of the states whose trait says so, and of the renewal */
    sub_renewal renewal;             /* of the states whose trait says so */
    leat_topic_mark seen;            /* the moment at which the handler last began */
    uint64_t answered_ns;            /* when the subscribe was answered; 0 again at the head */
    unsigned attempts;               /* how many failed in a row, of the handler or of the read */
} sub_work;

/* What a script or a stream is told about an end or an answer. It is told after all else, because a
 * script that goes on may close the client, which frees the subscription. */
typedef struct sub_farewell {
    leat_subscribed_cb done; /* NULL: nobody waits on the server's side */
    void *done_arg;
    leat_failure failure;
    leat_subscriber *stream; /* the subscriber, if it is a stream: it ends with this subscription */
    char *text;              /* of the failure; owned */
} sub_farewell;

/* What comes with an event. */
struct sub_news {
    const leat_verdict *verdict;   /* AUTHORIZED */
    leat_failure failure;          /* REFUSED, FAILED */
    const leat_snapshot *snapshot; /* SNAPSHOT */
    const leat_caught *caught;     /* CAUGHT_UP */
    leat_event *signal;            /* SIGNAL */
    int reason;                    /* RESYNC: LEAT_RESET_* */
    bool tell;                     /* CLOSE: a subscribe that is not yet answered gets an error */
    sub_farewell last;             /* written by the acts */
};

/* sub.c: carries out what the table says. It may free the subscription: the caller must not use it
 * afterwards. */
void sub_happens(leat_sub *s, sub_event event, sub_news *news);
void sub_happens_plainly(leat_sub *s, sub_event event); /* without any news */
sub_work *sub_work_of(leat_sub *s);                     /* made if need be */
/* Counts ns of the present stage's time so far for QUEUE instead. */
void sub_has_queued(leat_sub *s, uint64_t ns);
sub_event sub_settle(leat_sub *s, sub_news *news);
sub_event sub_wait_for_slot(leat_sub *s, sub_news *news);
sub_event sub_count_attempt(leat_sub *s, sub_news *news);
uint64_t sub_retry_deadline(const leat_sub *s);

static inline leat_slice sub_name(const leat_sub *s)
{
    return leat_map_key(&s->entry);
}

static inline leat_core *sub_core(const leat_sub *s)
{
    return s->subscriber->core;
}

static inline leat_pool *sub_pool(const leat_sub *s)
{
    return leat_loop_pool(sub_core(s)->loop);
}

/* The time on the loop's clock that many milliseconds from now. */
static inline uint64_t sub_in_ms(const leat_sub *s, uint64_t ms)
{
    return leat_loop_now(sub_core(s)->loop) + ms;
}

/* sub_start.c: ARMING, STARTING, RESUMING */
sub_event sub_arm(leat_sub *s, sub_news *news);
uint64_t sub_asked_deadline(const leat_sub *s);
sub_event sub_choose_start(leat_sub *s, sub_news *news);
sub_event sub_ask_outbox(leat_sub *s, sub_news *news);
void sub_stop_asking(leat_sub *s);

/* sub_answer.c: the answer to a subscribe, and the end */
sub_event sub_answer_resumed(leat_sub *s, sub_news *news);
sub_event sub_answer_snapshot(leat_sub *s, sub_news *news);
sub_event sub_answer_failure(leat_sub *s, sub_news *news);
sub_event sub_answer_not_armed(leat_sub *s, sub_news *news);
sub_event sub_answer_no_room(leat_sub *s, sub_news *news);
sub_event sub_answer_closed(leat_sub *s, sub_news *news);
sub_event sub_tell_failure(leat_sub *s, sub_news *news);
sub_event sub_tell_revoked(leat_sub *s, sub_news *news);
void sub_release_asked(leat_sub *s);             /* the subscribe needs no answer any more */
sub_event sub_bury(leat_sub *s, sub_news *news); /* frees it */

/* sub_right.c: the handler, and what puts the right in doubt */
sub_event sub_run_handler(leat_sub *s, sub_news *news);
void sub_stop_handler(leat_sub *s);
sub_event sub_take_grant(leat_sub *s, sub_news *news);
/* Returns true if the cursor may pass the event. It may not pass a revocation that concerns the
 * subscriber before the handler has decided again. */
bool sub_passes(const leat_sub *s, const leat_event *e);
/* Returns true if the handler is to run before the cursor may be put behind that position: the
 * handler may have missed a revocation that concerns the subscriber. */
bool sub_in_doubt(const leat_sub *s, const leat_position *at);

/* sub_read.c: snapshots */
sub_event sub_read_first(leat_sub *s, sub_news *news);
sub_event sub_read_again(leat_sub *s, sub_news *news);
void sub_stop_reading(leat_sub *s);
uint64_t sub_numbering_deadline(const leat_sub *s);
sub_event sub_choose_next(leat_sub *s, sub_news *news);
sub_event sub_give_snapshot(leat_sub *s, sub_news *news);
sub_event sub_owe_snapshot(leat_sub *s, sub_news *news);
sub_event sub_owe_lost(leat_sub *s, sub_news *news);
sub_event sub_owe_renewed(leat_sub *s, sub_news *news);
sub_event sub_owe_fresh(leat_sub *s, sub_news *news);
sub_event sub_owe_too(leat_sub *s, sub_news *news);
sub_event sub_owe_nothing(leat_sub *s, sub_news *news);
sub_event sub_begin_numbering(leat_sub *s, sub_news *news);
sub_event sub_begin_numbering_of_read(leat_sub *s, sub_news *news);
/* Returns true if a snapshot at seq is not behind the cursor. */
bool sub_is_new_enough(const leat_sub *s, int64_t seq);
/* Sends the snapshot and puts the cursor behind it. id: of the subscribe that it answers, or
 * absent. */
sub_event sub_send_snapshot(leat_sub *s, leat_slice id, const leat_snapshot *snapshot);

/* sub_renewal.c: a stale snapshot is replaced */
void sub_renew(leat_sub *s); /* begins, unless it has begun */
void sub_renewal_stop(leat_sub *s);

/* sub_replay.c: the cursor */
sub_event sub_move_cursor(leat_sub *s, sub_news *news);
sub_event sub_catch_up(leat_sub *s, sub_news *news);
void sub_stop_catching_up(leat_sub *s);
sub_event sub_take_caught(leat_sub *s, sub_news *news);
sub_event sub_give_signal(leat_sub *s, sub_news *news);
/* Gives the client the conflating signals that it has not got, as far as it takes them. The cursor
 * is at the ring's head. */
void sub_give_latest(leat_sub *s);
sub_event sub_drop_signal(leat_sub *s, sub_news *news);

#endif
