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
#include "core/client_private.h"
#include "core/history.h"
#include "core/read.h"
#include "core/share.h"
#include "core/sub.h"

typedef void (*sub_go)(leat_sub *s);

typedef struct sub_work {
    leat_sub *sub;
    leat_call call;              /* the handler, authorising */
    leat_read *read;             /* the snapshot, or NULL */
    leat_share_wait share;       /* or the shared one */
    leat_history *history;       /* whether the client can go on from where it is, or NULL */
    leat_catch_up_wait catch_up; /* events that the ring does not hold */
    leat_deadline wait; /* the end of a wait that no part above bounds; or the next attempt */
    leat_list turn;     /* in core->turns or ->repeats while it waits... */
    sub_go go;          /* ...with what it does then; NULL: it does not wait */
    bool in_turn;
    bool repeats;    /* and it is one of those that try again */
    bool parked;     /* the resync begins when the client takes more */
    bool asking;     /* the subscribe is not yet answered */
    bool fresh_only; /* the read replaces a stale snapshot */
    bool resumed;    /* from the client's position, without a snapshot */
    bool resync;     /* once authorised anew, the client needs a snapshot */
    bool renumbered; /* the handler is to run before anything of another numbering is given */
    uint64_t deadline_ms;
    uint64_t started_ns;
    char *id; /* raw JSON, or NULL */
    char *since_epoch;
    int64_t since_seq;
    leat_topic_mark seen; /* when the handler began, all up to there was committed */
    unsigned attempts;
    leat_client_subscribed_cb done;
    void *done_arg;
} sub_work;

/* Who waits for the outcome on the server's side; done is NULL if nobody does. */
typedef struct sub_caller {
    leat_client_subscribed_cb done;
    void *arg;
} sub_caller;

/* sub.c */
void sub_set_state(leat_sub *s, leat_sub_state next);
sub_work *sub_work_of(leat_sub *s); /* made if need be */
void sub_settle(leat_sub *s);       /* LIVE and nothing under way: the work goes */
leat_slice sub_name(const leat_sub *s);
/* The subscribe is answered: counts the outcome. Whoever else waits for it is returned, to be told
 * (sub_tell) as the last act of all: a script that goes on may end the client. */
LEAT_MUST_CHECK sub_caller sub_answered(leat_sub *s, leat_metric outcome);
void sub_tell(sub_caller caller);
/* Ends the subscription with an error, a closed, or an answer to the server's side; frees it. */
void sub_end(leat_sub *s, leat_code code, leat_slice message, uint32_t retry_after_ms);
void sub_arm(leat_sub *s); /* authorised: arms, if it has not, and reads when that is confirmed */

/* sub_right.c: AUTHORIZING */
void sub_authorize(leat_sub *s);
/* Whether the cursor passes the event, or the handler is to run first: a revocation. */
bool sub_passes(const leat_sub *s, const leat_event *e);
/* Whether the handler is to run before the cursor may be put behind seq, in a topic whose last
 * revocation is that one: it may have missed one that concerns it. */
bool sub_in_doubt(const leat_sub *s, int64_t seq, int64_t revoked);

/* sub_turn.c */
/* Calls go now, or when a turn is free; until sub_end_turn it has it. A last act. */
void sub_take_turn(leat_sub *s, sub_go go);
/* Gives the turn back, or leaves the line. */
void sub_end_turn(leat_sub *s);

/* sub_read.c: READING */
void sub_begin_reading(leat_sub *s);
void sub_begin_resync(leat_sub *s);
/* Ends whatever reads, fetches or waits, and its turn. */
void sub_stop_reading(leat_sub *s);
void sub_unpark(leat_sub *s);
void sub_retry_stale(leat_sub *s);
/* Calls cb, of work->wait, after a back-off. */
void sub_retry_later(leat_sub *s, leat_deadline_cb cb);

/* sub_replay.c: REPLAYING and LIVE */
/* The cursor is set: the subscribe, if it is open, is answered, and the cursor moves. A last act.
 */
void sub_begin_replay(leat_sub *s);

#endif
