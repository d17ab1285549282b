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

/* Each stands for all states of sub_table.c in which the same may happen. */
#define NEW 0
#define AUTHORIZING 1 /* and WAITING_HANDLER_SLOT, REAUTHORIZING, HELD: the handler is to run */
#define ARMING 2
#define READING 3 /* and RESUMING, REREADING and all waits between reads: no cursor moves */
#define LIVE 4    /* and REPLAYING, REPLAYING_OUTBOX, CATCHING_UP: the cursor moves */
#define CLOSED 5
byte state = NEW;
bool attached; /* to the topic: from the end of its first handler on */
bool asking = true;
byte next_seq;
byte since_epoch = NONE, since_seq; /* what the client brought */

#define IN_LINE 0 /* AUTHORIZING: the handler has not started, */
#define RUNNING 1 /* has, */
#define DECIDED 2 /* or has read that the right is there, and has not yet ended */
byte handler;
bool seen_known; /* seen is of the worker's numbering */
byte seen;       /* what was committed for certain when the handler started: it sees all of that */
bool resync;     /* once it has ended, a snapshot is read */
bool renumbered; /* the handler is to run before anything of another numbering is given */

#define IDLE 0
#define ASKED 1
#define ANSWERED 2
byte read, r_epoch, r_seq; /* a snapshot, when it looked; its answer is on its way */
short r_revoked;
bool r_shared; /* it is the share's */
bool tried;    /* a read was of no use */
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
    history = IDLE; h_epoch = 0; h_seq = 0; h_trimmed = 0; h_revoked = 0;
    tried = false
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
    handler = RUNNING;
    renumbered = false;
    old = false;
    note_seen()
}

inline authorize()
{
    stop_reading();
    state = AUTHORIZING;
    handler = IN_LINE;
    if
    :: asking -> run_handler()
    :: else /* when a turn is free */
    fi
}

/* The handler may not have seen something, and runs again. It is to see it then, or it would run for ever. */
inline authorize_again()
{
    assert(renumbered || old || (w_epoch != NONE && (!seen_known || known > seen)));
    authorize()
}

/* The snapshot's turn comes once more, after the handler's. */
inline authorize_first()
{
    resync = !asking;
    authorize_again()
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

inline begin_resync()
{
    if
    :: renumbered -> authorize_first()
    :: else -> stop_reading(); state = READING
    fi
}

inline sub_resync()
{
    if
    :: state == AUTHORIZING && attached && !asking -> resync = true
    :: state == LIVE -> begin_resync()
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

inline begin_replay()
{
    asking = false;
    resync = false;
    since_epoch = NONE; since_seq = 0;
    state = LIVE
}

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
        next_seq = sq + 1
    fi
}

inline take_history()
{
    i = 0;
    do
    :: i < BATCH && state == LIVE && next_seq <= h_seq -> deliver(h_epoch, next_seq); i++
    :: else -> break
    od;
    i = 0;
    history = IDLE; h_epoch = 0; h_seq = 0; h_trimmed = 0; h_revoked = 0
}

/* Of the snapshots at hand: one that a resync has followed is nobody's. */
#define at_hand (share && share_epoch == w_epoch && holds(share_seq + 1) && \
    !(resyncs & UPTO(EV(w_epoch, w_head)) & ~(UPTO(EV(w_epoch, share_seq)))))

inline on_outcome()
{
    topic_position(r_epoch, r_seq, r_revoked);
    if
    :: !usable(r_epoch, r_seq) -> stop_reading(); tried = true
    :: else ->
#ifndef NO_REVOKED_CHECK
        in_doubt(r_seq, r_revoked);
#endif
        if
        :: doubt -> authorize_first()
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
    byte fresh_reads = FRESH_READS, renewals = RENEWALS;
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

    :: d_step { state == AUTHORIZING && handler == IN_LINE -> run_handler() }

    /* The handler reads, at some moment after its start, and says yes or no. */
    :: d_step {
        state == AUTHORIZING && handler == RUNNING ->
        if
        :: member -> handler = DECIDED; unread = 0
        :: else -> state = CLOSED
        fi
    }

    :: d_step { /* on_authorized */
        state == AUTHORIZING && handler == DECIDED ->
        handler = IN_LINE;
#ifdef SEEN_AT_END
        note_seen();
#endif
        if
        :: asking -> attached = true; w_exists = true; state = ARMING
        :: !asking && resync -> resync = false; begin_resync()
        :: !asking && !resync -> begin_replay() /* a revocation at the cursor has been seen, and is passed */
        fi
    }

    :: d_step { /* sub_choose_start */
        state == ARMING && armed ->
        if
        :: since_epoch != NONE && since_epoch == w_epoch && holds(since_seq + 1) ->
#ifndef RESUME_PAST_REVOCATION
            resume(w_revoked)
#else
            send_resumed()
#endif
        :: else ->
            state = READING;
            if
            :: since_epoch != NONE -> history = ASKED
            :: else
            fi
        fi
    }

    /* A snapshot: read anew (once more only if that may be of use), or ... */
    :: d_step {
        state == READING && read == IDLE && history == IDLE &&
            (!tried || w_epoch == NONE || w_epoch == db_epoch) ->
        read = ANSWERED;
        r_epoch = db_epoch;
        r_seq = db_seq;
        r_revoked = db_revoked
    }
    :: d_step { /* ... shared, and at hand, or ... */
        state == READING && read == IDLE && history == IDLE && at_hand && usable(share_epoch, share_seq) ->
        r_epoch = share_epoch;
        r_seq = share_seq;
        r_revoked = share_revoked;
        on_outcome()
    }
    :: d_step { /* ... shared, and under way. */
        state == READING && read == IDLE && history == IDLE && o_looked && o_shared ->
        read = ANSWERED;
        r_shared = true;
        r_epoch = o_epoch;
        r_seq = o_seq;
        r_revoked = o_revoked
    }

    :: d_step { state == READING && read == ANSWERED -> on_outcome() }

    /* A stale snapshot is to be replaced, while the cursor moves. */
    :: d_step {
        state == LIVE && read == IDLE && fresh_reads > 0 ->
        fresh_reads--;
        read = ANSWERED;
        r_epoch = db_epoch;
        r_seq = db_seq;
        r_revoked = db_revoked
    }
    :: d_step { /* on_fresh */
        state == LIVE && read == ANSWERED ->
        topic_position(r_epoch, r_seq, r_revoked);
        if
        :: !usable(r_epoch, r_seq) -> begin_resync()
        :: else ->
#ifndef NO_REVOKED_CHECK
            in_doubt(r_seq, r_revoked);
#endif
            if
            :: doubt -> authorize_first()
            :: else -> give_snapshot()
            fi;
            doubt = false
        fi
    }

    /* leat_sub_pump, one event a step: a client may be as slow as it likes. */
    :: d_step {
        state == LIVE && history == IDLE && next_seq <= w_head ->
        if
        :: next_seq > w_head - ring_count -> deliver(w_epoch, next_seq)
        :: else -> history = ASKED /* it fell off */
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
        state == READING && history == ANSWERED ->
        fetched = h_epoch == since_epoch && h_seq >= since_seq &&
                  (h_seq == since_seq || h_trimmed <= since_seq);
        if
        :: fetched -> topic_position(h_epoch, h_seq, h_revoked)
        :: else
        fi;
        if
        :: fetched && w_epoch == h_epoch ->
#ifndef FETCH_PAST_REVOCATION
            resume(h_revoked);
#else
            send_resumed();
#endif
            if
            :: state == LIVE -> take_history()
            :: else
            fi
        :: else -> /* a snapshot, like everybody else */
            history = IDLE; h_epoch = 0; h_seq = 0; h_trimmed = 0; h_revoked = 0;
            since_epoch = NONE; since_seq = 0
        fi;
        fetched = false
    }

    :: d_step { /* on_caught_up: what follows the cursor, or another snapshot */
        state == LIVE && history == ANSWERED ->
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
        :: state == READING -> resync = !asking
        :: else
        fi;
        authorize()
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
