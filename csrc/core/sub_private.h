/* sub_private.h - what the files of a subscription share.
 *
 * Ownership  sub_work belongs to its subscription and exists while something is under way.
 * Threads    loop thread only.
 * Units      absolute milliseconds; seq.
 * Errors     none.
 */
#ifndef LEAT_CORE_SUB_PRIVATE_H
#define LEAT_CORE_SUB_PRIVATE_H

#include "core/catch_up.h"
#include "core/share.h"
#include "core/slot.h"
#include "core/sub.h"
#include "core/sub_table.h"
#include "outbox/history.h"

/* A subscribe that is not yet answered. */
typedef struct sub_asked {
    char *name;          /* the topic's, until the subscription is attached to it */
    char *id;            /* raw JSON, or NULL */
    leat_position since; /* where the client is; a reference; revoked: not known */
    uint64_t deadline_ms;
    uint64_t started_ns;
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
    sub_asked *asked; /* NULL once it is answered */
    union {
        leat_call call;              /* AUTHORIZING, REAUTHORIZING */
        leat_history *history;       /* RESUMING; NULL once it has answered */
        leat_share_wait share;       /* READING, REREADING */
        leat_catch_up_wait catch_up; /* REPLAYING_OUTBOX, CATCHING_UP */
    } of;                            /* what the state has under way */
    leat_deadline deadline;          /* of the state */
    leat_slot slot;
    sub_renewal renewal;
    leat_topic_mark seen; /* when the handler began, all up to there was committed */
    unsigned attempts;    /* that failed in a row */
} sub_work;

/* What is said when an event has been dealt with, as the last act of all: a script that goes on may
 * end the client. */
typedef struct sub_farewell {
    leat_subscribed_cb done; /* NULL: nobody waits on the server's side */
    void *done_arg;
    leat_failure failure;
    leat_subscriber *stream; /* whose only subscription has ended; NULL: none has */
    char *text;              /* of the failure; owned */
} sub_farewell;

/* What came with an event. */
struct sub_news {
    const leat_verdict *verdict;      /* AUTHORIZED */
    leat_failure failure;             /* REFUSED, FAILED */
    const leat_read_outcome *outcome; /* SNAPSHOT */
    const leat_caught *caught;        /* CAUGHT_UP */
    leat_event *signal;               /* SIGNAL */
    int reason;                       /* RESYNC: LEAT_RESET_* */
    bool tell;                        /* CLOSE: a request that is open is answered */
    sub_farewell last;                /* written by the acts */
};

/* sub.c: carries out what the table says. A last act: the subscription may be gone. */
void sub_happens(leat_sub *s, sub_event event, sub_news *news);
void sub_happens_plainly(leat_sub *s, sub_event event); /* nothing came with it */
sub_work *sub_work_of(leat_sub *s);                     /* made if need be */
leat_slice sub_name(const leat_sub *s);
leat_core *sub_core(const leat_sub *s);
uint64_t sub_in_ms(const leat_sub *s, uint64_t ms);
sub_event sub_settle(leat_sub *s, sub_news *news);
sub_event sub_wait_for_slot(leat_sub *s, sub_news *news);
sub_event sub_count_attempt(leat_sub *s, sub_news *news);
uint64_t sub_retry_deadline(const leat_sub *s);

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
sub_event sub_bury(leat_sub *s, sub_news *news); /* frees it */

/* sub_right.c: the handler, and what puts the right in doubt */
sub_event sub_run_handler(leat_sub *s, sub_news *news);
void sub_stop_handler(leat_sub *s);
sub_event sub_take_grant(leat_sub *s, sub_news *news);
/* Whether the cursor passes the event, or the handler is to run first: a revocation. */
bool sub_passes(const leat_sub *s, const leat_event *e);
/* Whether the handler is to run before the cursor may be put behind that position: it may have
 * missed a revocation that concerns it. */
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
/* Whether a snapshot at seq is not behind the cursor. */
bool sub_is_new_enough(const leat_sub *s, int64_t seq);
/* Sends it; id: of the subscribe that it answers, or absent. */
void sub_send_snapshot(leat_sub *s, leat_slice id, const leat_read_outcome *o);

/* sub_renewal.c: a stale snapshot is replaced */
void sub_renew(leat_sub *s); /* begins, unless it has */
void sub_renewal_stop(leat_sub *s);

/* sub_replay.c: the cursor */
sub_event sub_move_cursor(leat_sub *s, sub_news *news);
sub_event sub_catch_up(leat_sub *s, sub_news *news);
void sub_stop_catching_up(leat_sub *s);
sub_event sub_take_caught(leat_sub *s, sub_news *news);
sub_event sub_give_signal(leat_sub *s, sub_news *news);
sub_event sub_drop_signal(leat_sub *s, sub_news *news);

#endif
