/* revocation.pml - one subscription of Leat and the right to it, as a model that spin searches whole.
 *
 * What it shows, what it leaves out, and how to run it: docs/model.md. The names are those of the code
 * (csrc/core). handshake.pml shows that what the hub tells a worker is in order and complete, whatever the
 * transport does; here the hub is what that leaves of it: a step that tells the worker the next thing, as
 * late as it likes.
 *
 * The story, in the order of this file:
 *
 *   client      not a process: inlines that assert what a client may see
 *   World       commits events and resyncs, takes the right away and gives it back; the outbox is trimmed, the
 *               topic is numbered anew
 *   Hub         tells the worker where it begins, the next event, that positions start anew    hub_topic.c
 *   Other       other subscriptions of the same worker: one makes the topic, their reads tell positions, and
 *               a shared snapshot stays at hand                                                share.c
 *   Worker      one ring, one subscription: its handler, its reads, its cursor
 *                                             topic.c; sub_table.c and what it calls: sub_right.c,
 *                                             sub_start.c, sub_read.c, sub_renewal.c, sub_replay.c
 *   Judge       when nothing can move any more: is the subscription closed, or has the client everything?
 *
 * A handler of a single-threaded loop runs to its end: it is one step here (d_step). Between any two
 * steps, anything else may happen.
 */

/* ---- The bounds; each can be given with -D. -------------------------------------------------- */

#ifndef COMMITS
#define COMMITS 3 /* transactions that publish, revoke, or ask for a resync */
#endif
#ifndef REVOCATIONS
#define REVOCATIONS 1 /* of them, those that take the right away */
#endif
#ifndef FOREIGN
#define FOREIGN 0 /* of them, those that take somebody else's right away */
#endif
#ifndef RESYNCS
#define RESYNCS 0 /* of them, leat.resync's entries */
#endif
#ifndef GRANTS
#define GRANTS 1 /* times that the right is given back, without a word in the log */
#endif
#ifndef TRIMS
#define TRIMS 0 /* events taken off the outbox's old end, one at a time */
#endif
#ifndef RENUMBERINGS
#define RENUMBERINGS 0 /* times (up to 2) that the topic is deleted, and begins anew at seq 0 */
#endif
#ifndef BEHINDS
#define BEHINDS 0 /* times that the worker is left behind: told where the hub is, instead of some events */
#endif
#ifndef HOOK_FAILURES
#define HOOK_FAILURES 0 /* events that the scripts' hook fails on: the ring goes on behind them */
#endif
#ifndef READS
#define READS 1 /* snapshots that other subscriptions of the worker read */
#endif
#ifndef FRESH_READS
#define FRESH_READS 0 /* reads that replace a stale snapshot and hold no cursor up */
#endif
#ifndef FAILURES
#define FAILURES 0 /* times that the database gives a live subscription's handler, or its read, no answer */
#endif
#ifndef PARKS
#define PARKS 0 /* times that the client takes no more when a snapshot is due */
#endif
#ifndef RENEWALS
#define RENEWALS 0 /* times that the identity changes, and the handler runs for no other reason */
#endif
#ifndef SINCE
#define SINCE 1 /* the client may bring a position (0: it brings none) */
#endif
#ifndef RING
#define RING 2 /* events that the ring holds */
#endif
#ifndef BATCH
#define BATCH 2 /* rows that one fetch brings */
#endif

/* ---- The breakages: each takes one rule away. ------------------------------------------------ *
 *
 *   NO_REVOKED_CHECK        a snapshot is given although a revocation that the handler has not seen lies
 *                           before it
 *   RESUME_PAST_REVOCATION  a resume from the ring believes the position that the client brings
 *   FETCH_PAST_REVOCATION   likewise, from the outbox
 *   SEEN_AT_END             what the handler has seen is noted when it ends, not when it starts
 *   ANY_NUMBERING           what it has seen of one numbering counts in the next one
 *   FORGET_REVOKED          a numbering begins as if nothing had been revoked in the one before
 *   ANY_AGE                 a handler that began long ago counts like any other
 *   CARRY_OVER              a subscription that is carried into another numbering keeps its right (found with
 *                           ANY_AGE: each of the two rules covers for the other)
 *   BEGIN_WITHOUT_REVOKED   the hub does not tell what was revoked before it began
 *   HOOK_FORGETS            events count from when they get into the ring, not from when they arrive
 *   UNASKED_PASS            an entry that the ring does not hold is taken for one of somebody else
 *   PASS_RESYNC             the cursor walks past a resync entry, as past somebody else's revocation
 *   OLD_SNAPSHOT            a shared snapshot that is not older than what the client has, but than a resync
 *                           entry, is taken for its answer
 *   HELD_MOVES              the cursor moves on while the handler cannot be run
 *   PARKED_GIVES            what was parked is given without a look at what has changed meanwhile
 *   FRESH_PAST_REVOCATION   a snapshot that replaces a stale one is given although the handler may have missed something
 *   FRESH_GOES_BACK         ... although the cursor has gone past it
 *   KEEP_OLD_READS          a shared read that runs when another numbering begins is used when it ends
 */

#define K (COMMITS + 1)
#define EV(epoch, seq) ((epoch) * K + (seq)) /* an event, in one number, in the order of commits */
#define BIT(n) (1 << (n))
#define UPTO(n) (BIT((n) + 1) - 1) /* the set of all up to n */

#define NONE 3   /* no epoch */
#define NEVER -1 /* of a revocation: there is none; of what was seen: nothing */

/* ---- Postgres: what is committed. ------------------------------------------------------------ *
 *
 * A commit raises seq, and shows the event, or takes the right away, in one step; a read is one look at
 * these variables. */

byte db_epoch, db_trimmed;
byte last[RENUMBERINGS + 1];  /* the last seq of each numbering */
#define db_seq last[db_epoch] /* the outbox holds db_trimmed+1 ... db_seq */
short db_revoked = NEVER;     /* the last revocation; 0: there may have been one in an earlier numbering */
bool hour;                    /* has passed since this numbering began, and nothing was written to it till then */
bool old;                     /* and the subscription's handler began before that */
bool member = true;           /* what the handler reads */

/* The log as it was ever written, in sets of entries. */
short mine;    /* revocations that concern the subscription */
short foreign; /* those of somebody else */
short resyncs;
short unread;  /* of mine: those that committed after the handler last read that the right is there */

/* ---- The hub, and the worker's topic. -------------------------------------------------------- */

bool hub_knows; /* where it is */
byte hub_epoch, hub_head;
short hub_revoked;
bool began_late; /* at a position of the numbering before: once is enough */

bool w_exists, armed;
byte w_epoch = NONE, w_last_epoch = NONE, w_head, ring_count;
byte w_told;             /* committed for certain: the highest position of this numbering that was told */
short w_revoked = NEVER; /* the last revocation that was told */

bool o_looked; /* another subscription's read: its answer is on its way */
bool o_shared; /* ... to whoever asks meanwhile, too */
byte o_epoch, o_seq;
short o_revoked;
bool share; /* a snapshot is at hand */
byte share_epoch, share_seq;
short share_revoked;

/* ---- The subscription. ----------------------------------------------------------------------- */

/* The states of sub_table.c. Nothing rests in STARTING and CONTINUING: they are decisions inside a step (choose_start,
 * go_on). What the renewal of a stale snapshot does (sub_renewal.c) goes on in LIVE and CATCHING_UP. */
#define NEW 0
#define AUTHORIZING 1
#define ARMING 2
#define RESUMING 3
#define READING 4
#define WAITING_NUMBERING 5
#define REPLAYING 6
#define REPLAYING_OUTBOX 7
#define LIVE 8
#define CATCHING_UP 9
#define WAITING_HANDLER_SLOT 10
#define REAUTHORIZING 11
#define HELD 12
#define PARKED 13
#define WAITING_READ_SLOT 14
#define REREADING 15
#define WAITING_READ_RETRY 16
#define CLOSED 17
byte state = NEW;
#define asking (state <= WAITING_NUMBERING) /* the subscribe is not answered yet */
#define is_reading (state == READING || state == REREADING)
#define may_read (is_reading || state == WAITING_READ_SLOT) /* the slot is there, or a shared read begins anew */
#define on_ring (state == REPLAYING || state == LIVE)
#define on_outbox (state == REPLAYING_OUTBOX || state == CATCHING_UP)
#define handler_runs (state == AUTHORIZING || state == REAUTHORIZING)

bool attached; /* to the topic: from the end of its first handler on */
byte next_seq;
byte since_epoch = NONE, since_seq; /* what the client brought */

bool decided_yes; /* the handler that runs has read that the right is there, and has not ended yet */
bool seen_known;  /* seen is of the worker's numbering */
byte seen;        /* what was committed for certain when the handler started: it sees all of that */
bool due;         /* a snapshot, before the cursor moves again */
bool renumbered;  /* the handler is to run before anything of another numbering is given */

#define IDLE 0
#define ASKED 1
#define ANSWERED 2
byte read, r_epoch, r_seq; /* a snapshot, when it looked; its answer is on its way */
short r_revoked;
bool r_shared; /* it is the share's */
byte history, h_epoch, h_seq, h_trimmed; /* a fetch from the outbox */
short h_revoked;

/* ---- The client, and what it may see. -------------------------------------------------------- *
 *
 * P9: whatever lies behind a revocation is shown only if the handler has read the right since. */

bool c_has;
byte c_epoch, c_seq;

inline client_snapshot(ep, sq)
{
    assert((unread & UPTO(EV(ep, sq))) == 0);
    assert(!(c_has && ep == c_epoch && sq < c_seq));
    c_has = true;
    c_epoch = ep;
    c_seq = sq
}

inline client_resumed(ep, sq)
{
    assert((unread & UPTO(EV(ep, sq))) == 0);
    c_has = true;
    c_epoch = ep;
    c_seq = sq
}

inline client_event(ep, sq)
{
    assert((unread & UPTO(EV(ep, sq))) == 0);
    assert(c_has && ep == c_epoch && sq == c_seq + 1);
    /* Nobody comes past a resync but by a snapshot. */
    assert(!(resyncs & BIT(EV(ep, sq))));
    c_seq = sq
}

byte i;     /* of loops inside a step; 0 between steps */
bool doubt; /* what in_doubt found; likewise */

/* ---- World. ---------------------------------------------------------------------------------- *
 *
 * Nothing happens any more, here and below, once the subscription is closed. */

inline commit()
{
    commits--;
    last[db_epoch]++
}

proctype World()
{
    byte commits = COMMITS, revocations = REVOCATIONS, foreigns = FOREIGN, asked = RESYNCS, grants = GRANTS,
         trims = TRIMS, renumberings = RENUMBERINGS;
end:
    do
    :: d_step { state != CLOSED && commits > 0 -> commit() }
    :: d_step {
        state != CLOSED && commits > 0 && revocations > 0 ->
        revocations--;
        commit();
        db_revoked = db_seq;
        mine = mine | BIT(EV(db_epoch, db_seq));
        unread = unread | BIT(EV(db_epoch, db_seq));
        member = false
    }
    :: d_step {
        state != CLOSED && commits > 0 && foreigns > 0 ->
        foreigns--;
        commit();
        db_revoked = db_seq;
        foreign = foreign | BIT(EV(db_epoch, db_seq))
    }
    :: d_step {
        state != CLOSED && commits > 0 && asked > 0 ->
        asked--;
        commit();
        resyncs = resyncs | BIT(EV(db_epoch, db_seq))
    }
    :: d_step { state != CLOSED && grants > 0 && !member -> grants--; member = true }
    :: d_step { state != CLOSED && trims > 0 && db_trimmed < db_seq -> trims--; db_trimmed++ }
    :: d_step {
        state != CLOSED && renumberings > 0 ->
        renumberings--;
        db_epoch++;
        db_trimmed = 0;
#ifndef FORGET_REVOKED
        db_revoked = 0; /* leat_internal.first_revoked */
        hour = false
#else
        db_revoked = NEVER
#endif
    }
    /* An hour later that is forgotten, but in a numbering that has begun. */
    :: d_step {
        state != CLOSED && db_epoch > 0 && db_seq == 0 && !hour ->
        hour = true;
        old = state != NEW;
        db_revoked = NEVER
    }
    od
}

/* ---- Worker: sub_right.c. -------------------------------------------------------------------- */

inline stop_reading()
{
    read = IDLE; r_epoch = 0; r_seq = 0; r_revoked = 0; r_shared = false;
    history = IDLE; h_epoch = 0; h_seq = 0; h_trimmed = 0; h_revoked = 0
}

#define known (w_head > w_told -> w_head : w_told)

/* Whatever the handler reads from now on, it sees all of this: it is committed. */
inline note_seen()
{
    seen_known = w_epoch != NONE;
    seen = (w_epoch != NONE -> known : 0)
}

inline run_handler()
{
    decided_yes = false;
    renumbered = false;
    old = false;
    note_seen()
}

inline authorize()
{
    stop_reading();
    decided_yes = false;
    if
    :: asking -> state = AUTHORIZING; run_handler()
    :: else -> state = WAITING_HANDLER_SLOT
    fi
}

/* The handler may not have seen something, and runs again. It is to see it then, or it would run for ever. */
inline authorize_again()
{
    assert(renumbered || old || (w_epoch != NONE && (!seen_known || known > seen)));
    authorize()
}

/* Up to where revocations have been decided; 0 stands for those of the numberings before, too, once they are. */
#define decided_by_handler (seen_known -> seen : NEVER)
#define decided (next_seq > 0 && next_seq - 1 > decided_by_handler -> next_seq - 1 : decided_by_handler)

#define ring_holds(sq) ((sq) <= w_head && (sq) > w_head - ring_count)

#define passes(ep, sq) (!(mine & BIT(EV(ep, sq))) || (sq) <= decided)

/* Whether the handler may have missed a revocation that concerns it: revoked is the last one of all. The ring
 * is asked whom they concern, where it holds them all. */
inline in_doubt(sq, revoked)
{
#ifndef ANY_AGE
    doubt = renumbered || (old && decided == NEVER);
#else
    doubt = renumbered;
#endif
    if
    :: revoked > decided ->
        i = decided + 1; /* 0 is not in the ring */
        do
        :: i <= sq && !doubt ->
#ifndef UNASKED_PASS
            doubt = !ring_holds(i) || !passes(w_epoch, i);
#else
            doubt = ring_holds(i) && !passes(w_epoch, i);
#endif
            i++
        :: else -> break
        od;
        i = 0
    :: else
    fi
}

/* ---- Worker: topic.c. ------------------------------------------------------------------------ */

inline renumber()
{
    if
    :: attached ->
        next_seq = 0;
#ifndef CARRY_OVER
        renumbered = true
#endif
    :: else
    fi
}

/* After a restart it may be a read, not the hub, that is the first to meet another numbering. */
inline adopt_epoch(ep)
{
    w_epoch = ep;
    if
    :: w_last_epoch != ep ->
        w_told = 0;
        w_revoked = NEVER;
#ifndef ANY_NUMBERING
        seen_known = false; seen = 0;
#endif
        if
        :: w_last_epoch != NONE -> renumber()
        :: else
        fi
    :: else
    fi
}

/* Committed up to sq, and revoked at revoked. */
inline note(sq, revoked)
{
    if
    :: sq > w_told -> w_told = sq
    :: else
    fi;
    if
    :: revoked > w_told -> w_told = revoked
    :: else
    fi;
    if
    :: revoked > w_revoked -> w_revoked = revoked
    :: else
    fi
}

/* A read saw the topic there. */
inline topic_position(ep, sq, revoked)
{
    if
    :: w_epoch == NONE -> adopt_epoch(ep); w_head = sq
    :: else
    fi;
    if
    :: w_epoch == ep -> note(sq, revoked)
    :: else
    fi
}

/* ---- Worker: sub_read.c. --------------------------------------------------------------------- */

/* HEAD: REPLAYING ends when the cursor has come to the ring's head. */
inline move_on()
{
    if
    :: state == REPLAYING && w_epoch != NONE && next_seq > w_head -> state = LIVE
    :: else
    fi
}

inline begin_replay()
{
    due = false;
    since_epoch = NONE; since_seq = 0;
    state = REPLAYING;
    move_on()
}

inline begin_read()
{
    if
    :: state == WAITING_READ_SLOT -> state = REREADING
    :: else
    fi;
    read = ANSWERED
}

/* CONTINUING: sub_choose_next. That the client is full is a step of its own, from WAITING_READ_SLOT. */
inline go_on()
{
    stop_reading();
    if
    :: !due -> begin_replay()
    :: due && renumbered -> authorize_again()
    :: else -> state = WAITING_READ_SLOT
    fi
}

/* sub_owe_snapshot, sub_owe_lost */
inline begin_resync()
{
    due = true;
    go_on()
}

inline sub_resync()
{
    if
    :: on_ring || on_outbox -> begin_resync()
    :: state == WAITING_HANDLER_SLOT || state == REAUTHORIZING || state == HELD -> due = true /* sub_owe_too */
    :: else /* it reads anyway */
    fi
}

inline clear_ring()
{
    ring_count = 0;
    share = false; share_epoch = 0; share_seq = 0; share_revoked = 0
}

#define RESET 0
#define RESET_EPOCH 1

inline restart(why)
{
    clear_ring();
    if
    :: w_epoch != NONE -> w_last_epoch = w_epoch
    :: else
    fi;
    if
    :: why == RESET_EPOCH ->
        w_last_epoch = NONE;
#ifndef KEEP_OLD_READS
        /* What is being read for several begins anew. */
        if
        :: o_shared -> o_looked = false; o_shared = false; o_epoch = 0; o_seq = 0; o_revoked = 0
        :: else
        fi;
        if
        :: r_shared -> read = IDLE; r_shared = false; r_epoch = 0; r_seq = 0; r_revoked = 0
        :: else
        fi;
#endif
        renumber()
    :: else
    fi;
    w_epoch = NONE; w_head = 0;
    sub_resync()
}

/* Nothing up to there will come from the hub: a cursor that is behind takes it from the outbox. */
inline topic_begins(ep, sq, revoked)
{
    if
    :: w_epoch != NONE && w_epoch != ep -> restart(RESET_EPOCH)
    :: else
    fi;
    if
    :: w_epoch == NONE -> adopt_epoch(ep); w_head = sq
    :: w_epoch != NONE && w_head < sq -> clear_ring(); w_head = sq
    :: else
    fi;
    note(sq, revoked)
}

inline topic_event(ep, sq)
{
    assert(w_epoch == ep); /* it was told where the hub begins */
    if
    :: sq > w_head ->
        assert(sq == w_head + 1); /* what the hub gives is contiguous */
        w_head = sq;
        if
        :: ring_count < RING -> ring_count++
        :: else
        fi;
        if
        :: (mine | foreign) & BIT(EV(ep, sq)) -> note(sq, sq)
        :: else -> note(sq, NEVER)
        fi
    :: else /* a read was faster */
    fi
}

/* Whether a cursor can go on from the ring alone. */
#define holds(next) (w_epoch != NONE && next > w_head - ring_count && next <= w_head + 1)

/* ---- Hub. ------------------------------------------------------------------------------------ */

#ifndef BEGIN_WITHOUT_REVOKED
#define tell_begin() topic_begins(hub_epoch, hub_head, hub_revoked)
#else
#define tell_begin() topic_begins(hub_epoch, hub_head, NEVER)
#endif

inline hub_reset(why)
{
    hub_knows = false; hub_epoch = 0; hub_head = 0; hub_revoked = 0;
    if
    :: armed -> restart(why)
    :: else
    fi
}

inline hub_next()
{
    hub_head++;
    if
    :: (mine | foreign) & BIT(EV(hub_epoch, hub_head)) -> hub_revoked = hub_head
    :: else
    fi
}

#ifndef FORGET_REVOKED
#define first_revoked(ep) (ep == 0 || ep == db_epoch && hour -> NEVER : 0)
#else
#define first_revoked(ep) NEVER
#endif

proctype Hub()
{
    byte ep, sq, told, hook_failures = HOOK_FAILURES, behinds = BEHINDS;
end:
    do
    :: d_step {
        state != CLOSED && w_exists && !armed ->
        armed = true;
        if
        :: hub_knows -> tell_begin()
        :: else
        fi
    }

    /* Some position was told: by this worker's read or another's, which may have looked long ago. The hub begins
     * there, or earlier, if it has heard all from there on. */
    :: atomic {
        state != CLOSED && !hub_knows ->
        if
        :: ep = db_epoch; sq = db_trimmed
        :: db_epoch > 0 && !began_late -> began_late = true; ep = db_epoch - 1; sq = 0
        fi;
        do
        :: sq < last[ep] -> sq++
        :: break
        od;
        told = sq;
        do
        :: told < last[ep] -> told++
        :: break
        od;
        d_step {
            hub_knows = true;
            hub_epoch = ep;
            hub_head = sq;
            do
            :: told > 0 && !((mine | foreign) & BIT(EV(ep, told))) -> told--
            :: else -> break
            od;
            hub_revoked = (told > 0 -> told : (first_revoked(ep)));
            if
            :: armed -> tell_begin()
            :: else
            fi;
            ep = 0; sq = 0; told = 0
        }
    }

    :: d_step { /* the next event: announced, or fetched */
        state != CLOSED && hub_knows && hub_head < last[hub_epoch] ->
        hub_next();
        if
        :: armed -> topic_event(hub_epoch, hub_head)
        :: else
        fi
    }

    :: d_step { /* likewise, but too much waits for the worker */
        state != CLOSED && behinds > 0 && hub_knows && armed && hub_head < last[hub_epoch] ->
        behinds--;
        do
        :: hub_head < last[hub_epoch] -> hub_next()
        :: else -> break
        od;
        tell_begin()
    }

    :: d_step { state != CLOSED && hub_knows && hub_epoch != db_epoch -> hub_reset(RESET_EPOCH) }
    :: d_step {
        state != CLOSED && hub_knows && hub_epoch == db_epoch && hub_head < db_trimmed -> hub_reset(RESET)
    }

    /* topic_hook.c: the scripts' hook fails, on this event and all that wait for it. */
    :: d_step {
        state != CLOSED && hook_failures > 0 && hub_knows && hub_head < last[hub_epoch] && armed &&
            w_epoch == hub_epoch && w_head <= hub_head ->
        hook_failures--;
        hub_next();
#ifdef HOOK_FORGETS
        w_head = hub_head;
#else
        topic_event(hub_epoch, hub_head);
#endif
        clear_ring();
        sub_resync()
    }
    od
}

/* ---- Other subscriptions of the worker: one makes the topic, perhaps, and one reads. --------- */

proctype Other()
{
    byte reads = READS;
end:
    do
    :: d_step { state != CLOSED && reads > 0 && !w_exists -> w_exists = true }
    :: atomic {
        state != CLOSED && reads > 0 && armed && !o_looked ->
        o_looked = true;
        o_epoch = db_epoch;
        o_seq = db_seq;
        o_revoked = db_revoked;
        if
        :: o_shared = true
        :: o_shared = false
        fi
    }
    :: d_step {
        state != CLOSED && o_looked ->
        reads--;
        topic_position(o_epoch, o_seq, o_revoked);
        if
        :: o_shared -> share = true; share_epoch = o_epoch; share_seq = o_seq; share_revoked = o_revoked
        :: else
        fi;
        o_looked = false; o_shared = false; o_epoch = 0; o_seq = 0; o_revoked = 0
    }
    od
}

/* ---- Worker: sub.c, sub_start.c, sub_read.c, sub_renewal.c, sub_replay.c. -------------------- */

#ifndef OLD_SNAPSHOT
#define new_enough(sq) ((sq) + 1 >= next_seq)
#else
#define new_enough(sq) ((sq) >= c_seq)
#endif
#define usable(ep, sq) (w_epoch == ep && (asking || new_enough(sq)))

inline give_snapshot()
{
    client_snapshot(r_epoch, r_seq);
#ifndef OLD_SNAPSHOT
    next_seq = r_seq + 1;
#else
    next_seq = (r_seq + 1 > next_seq -> r_seq + 1 : next_seq);
#endif
    stop_reading();
    begin_replay()
}

inline send_resumed()
{
    client_resumed(since_epoch, since_seq);
    next_seq = since_seq + 1;
    stop_reading();
    begin_replay()
}

/* One entry at the cursor, from the ring or the outbox. */
inline deliver(ep, sq)
{
    if
    :: !passes(ep, sq) -> authorize()
#ifndef PASS_RESYNC
    :: passes(ep, sq) && (resyncs & BIT(EV(ep, sq))) ->
        next_seq = sq + 1; /* an older snapshot will not do */
        begin_resync()
#endif
    :: else ->
        client_event(ep, sq); /* or a skip */
        next_seq = sq + 1;
        move_on()
    fi
}

inline take_history()
{
    i = 0;
    do
    :: i < BATCH && on_outbox && next_seq <= h_seq -> deliver(h_epoch, next_seq); i++
    :: else -> break
    od;
    i = 0;
    if
    :: state == REPLAYING_OUTBOX -> state = REPLAYING; move_on()
    :: state == CATCHING_UP -> state = LIVE
    :: else
    fi;
    history = IDLE; h_epoch = 0; h_seq = 0; h_trimmed = 0; h_revoked = 0
}

/* Of the snapshots at hand: one that a resync has followed is nobody's. */
#define at_hand (share && share_epoch == w_epoch && holds(share_seq + 1) && \
    !(resyncs & UPTO(EV(w_epoch, w_head)) & ~(UPTO(EV(w_epoch, share_seq)))))

inline on_outcome()
{
    topic_position(r_epoch, r_seq, r_revoked);
    if
    :: !usable(r_epoch, r_seq) ->
        stop_reading();
        state = (asking -> WAITING_NUMBERING : WAITING_READ_RETRY)
    :: else ->
#ifndef NO_REVOKED_CHECK
        in_doubt(r_seq, r_revoked);
#endif
        if
        :: doubt -> authorize_again()
        :: else -> give_snapshot()
        fi;
        doubt = false
    fi
}

/* From where the client is, in a topic whose last revocation is that one. */
inline resume(revoked)
{
    in_doubt(since_seq, revoked);
    if
    :: doubt -> authorize_again()
    :: else -> send_resumed()
    fi;
    doubt = false
}

proctype Worker()
{
    byte fresh_reads = FRESH_READS, failures = FAILURES, parks = PARKS, renewals = RENEWALS;
    bool fetched;
end:
    do
    /* A client comes, with a position that it was given, or made up (but an epoch cannot be guessed). */
    :: atomic {
        state == NEW ->
        if
        :: true
        :: SINCE -> since_epoch = 0
        :: SINCE && db_epoch > 0 -> since_epoch = db_epoch
        fi;
        do
        :: since_epoch != NONE && since_seq < COMMITS -> since_seq++
        :: break
        od;
        d_step { authorize() }
    }

    :: d_step { state == WAITING_HANDLER_SLOT -> state = REAUTHORIZING; run_handler() }

    /* The handler reads, at some moment after its start, and says yes or no. */
    :: d_step {
        handler_runs && !decided_yes ->
        if
        :: member -> decided_yes = true; unread = 0
        :: else -> state = CLOSED
        fi
    }

    :: d_step { /* on_authorized */
        handler_runs && decided_yes ->
        decided_yes = false;
#ifdef SEEN_AT_END
        note_seen();
#endif
        if
        :: state == AUTHORIZING -> attached = true; w_exists = true; state = ARMING
        :: else -> go_on() /* a revocation at the cursor has been seen, and is passed */
        fi
    }

    /* The handler could not read, and runs again after a while. */
    :: d_step { state == REAUTHORIZING && failures > 0 -> failures--; decided_yes = false; state = HELD }
    :: d_step { state == HELD -> state = WAITING_HANDLER_SLOT }

    :: d_step { /* STARTING: sub_choose_start */
        state == ARMING && armed ->
        if
        :: since_epoch != NONE && since_epoch == w_epoch && holds(since_seq + 1) ->
#ifndef RESUME_PAST_REVOCATION
            resume(w_revoked)
#else
            send_resumed()
#endif
        :: since_epoch != NONE && !(since_epoch == w_epoch && holds(since_seq + 1)) ->
            state = RESUMING;
            history = ASKED
        :: else -> state = READING
        fi
    }

    :: d_step { /* FULL: the client takes no more; and MOVE: it does again */
        state == WAITING_READ_SLOT && parks > 0 ->
        parks--;
        state = PARKED
    }
    :: d_step {
        state == PARKED ->
#ifndef PARKED_GIVES
        go_on()
#else
        stop_reading();
        begin_replay()
#endif
    }

    /* A read in vain is repeated if that may be of use; Judge sees if it never is. */
    :: d_step { state == REREADING && failures > 0 -> failures--; stop_reading(); state = WAITING_READ_RETRY }
    :: d_step { state == WAITING_READ_RETRY && (w_epoch == NONE || w_epoch == db_epoch) -> go_on() }
    :: d_step { state == WAITING_NUMBERING && (w_epoch == NONE || w_epoch == db_epoch) -> state = READING }

    /* A snapshot: read anew, or ... */
    :: d_step {
        may_read && read == IDLE ->
        begin_read();
        r_epoch = db_epoch;
        r_seq = db_seq;
        r_revoked = db_revoked
    }
    :: d_step { /* ... shared, and at hand, or ... */
        may_read && read == IDLE && at_hand && usable(share_epoch, share_seq) ->
        begin_read();
        r_epoch = share_epoch;
        r_seq = share_seq;
        r_revoked = share_revoked;
        on_outcome()
    }
    :: d_step { /* ... the first one, of nothing that the database holds: good at the ring's head, too, or ... */
        state == READING && read == IDLE && holds(w_head + 1) ->
        begin_read();
        r_epoch = w_epoch;
        r_seq = w_head;
        r_revoked = w_revoked;
        on_outcome()
    }
    :: d_step { /* ... shared, and under way. */
        may_read && read == IDLE && o_looked && o_shared ->
        begin_read();
        r_shared = true;
        r_epoch = o_epoch;
        r_seq = o_seq;
        r_revoked = o_revoked
    }

    :: d_step { is_reading && read == ANSWERED -> on_outcome() }

    /* A stale snapshot is to be replaced, while the cursor moves: sub_renewal.c. */
    :: d_step {
        (state == LIVE || state == CATCHING_UP) && read == IDLE && fresh_reads > 0 ->
        fresh_reads--;
        read = ANSWERED;
        r_epoch = db_epoch;
        r_seq = db_seq;
        r_revoked = db_revoked
    }
    :: d_step { /* on_fresh */
        (state == LIVE || state == CATCHING_UP) && read == ANSWERED ->
        topic_position(r_epoch, r_seq, r_revoked);
        if
#ifndef FRESH_GOES_BACK
        :: !usable(r_epoch, r_seq) -> begin_resync() /* FRESH_LATE */
#else
        :: w_epoch != r_epoch -> begin_resync()
#endif
        :: else ->
#if !defined(NO_REVOKED_CHECK) && !defined(FRESH_PAST_REVOCATION)
            in_doubt(r_seq, r_revoked);
#endif
            if
            :: doubt -> due = true; authorize_again() /* FRESH_DOUBTED */
            :: else -> give_snapshot()
            fi;
            doubt = false
        fi
    }

    /* sub_move_cursor, one event a step: a client may be as slow as it likes. */
    :: d_step {
#ifndef HELD_MOVES
        on_ring && next_seq <= w_head ->
#else
        (on_ring || state == HELD) && next_seq <= w_head ->
#endif
        if
        :: next_seq > w_head - ring_count -> deliver(w_epoch, next_seq)
        :: else -> /* it fell off */
            history = ASKED;
            state = (state == LIVE -> CATCHING_UP : REPLAYING_OUTBOX)
        fi
    }
    :: d_step { /* Postgres looks */
        history == ASKED ->
        history = ANSWERED;
        h_epoch = db_epoch;
        h_seq = db_seq;
        h_trimmed = db_trimmed;
        h_revoked = db_revoked
    }

    :: d_step { /* sub_start.c: on_history */
        state == RESUMING && history == ANSWERED ->
        fetched = h_epoch == since_epoch && h_seq >= since_seq &&
                  (h_seq == since_seq || h_trimmed <= since_seq);
        if
        :: fetched -> topic_position(h_epoch, h_seq, h_revoked)
        :: else
        fi;
        if
        :: fetched && w_epoch == h_epoch ->
#ifndef FETCH_PAST_REVOCATION
            resume(h_revoked)
#else
            send_resumed()
#endif
        :: else -> /* a snapshot, like everybody else */
            stop_reading();
            since_epoch = NONE; since_seq = 0;
            state = READING
        fi;
        fetched = false
    }

    :: d_step { /* on_caught_up: what follows the cursor, or another snapshot */
        on_outbox && history == ANSWERED ->
        topic_position(h_epoch, h_seq, h_revoked);
        if
        :: h_epoch != w_epoch || h_trimmed >= next_seq || h_seq < next_seq -> begin_resync()
        :: else -> take_history()
        fi
    }

    /* leat_sub_reauthorize */
    :: d_step {
        state != NEW && state != CLOSED && renewals > 0 ->
        renewals--;
        if
        :: state == WAITING_HANDLER_SLOT
        :: else -> authorize()
        fi
    }
    od
}

/* ---- Judge: when nothing can move any more. -------------------------------------------------- */

proctype Judge()
{
    timeout ->
    assert(state == CLOSED || (c_has && c_epoch == db_epoch && c_seq == db_seq));
    assert(state == CLOSED || unread == 0)
}

init
{
    atomic {
        run World();
        run Hub();
        if
        :: READS > 0 -> run Other()
        :: else
        fi;
        run Worker();
        run Judge()
    }
}
