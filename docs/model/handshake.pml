/* handshake.pml - one topic of Leat, from the commit to the client, as a model that spin searches whole.
 *
 * What it shows, what it leaves out, and how to run it: docs/model.md. Most names are those of the code.
 * Of a topic of the hub (csrc/hub/hub_state.h), head is at.seq, fetching is HUB_ASKED, and unsure is
 * HUB_ASKED_TOO_EARLY while a fetch runs, else HUB_ASKED_WHEN_PLACED; ring and next_seq are those of a
 * worker's topic and subscription (csrc/core).
 *
 * The story, in the order of this file:
 *
 *   air         not a process: what was announced and not yet heard, a set, so that order is any order
 *   client      not a process: two inlines that assert what a client may see
 *   World       commits events and resyncs, and throws the faults: the listener's connection is cut, the
 *               outbox is trimmed, the topic is numbered anew
 *   Listener    notices that it was cut, and connects again     hub.c
 *   Hub         orders, repairs, compares                       hub_topic.c, hub_repair.c
 *   Worker      one ring, one subscription, one cursor          topic.c; sub_table.c and what it calls:
 *                                                               sub_start.c, sub_read.c, sub_replay.c
 *   Sibling     another worker of the process, as far as the hub can tell: it arms, reads, tells
 *   Judge       when nothing can move any more: has the client everything?
 *
 * A handler of a single-threaded loop runs to its end: it is one step here (d_step). Between any two
 * steps, anything else may happen.
 */

/* ---- The bounds; each can be given with -D. -------------------------------------------------- */

#ifndef COMMITS
#define COMMITS 3 /* transactions that publish */
#endif
#ifndef CUTS
#define CUTS 1 /* times that the listener's connection is cut */
#endif
#ifndef DOUBLES
#define DOUBLES 1 /* announcements that arrive once too often */
#endif
#ifndef LOSSES
#define LOSSES 0 /* announcements lost for no reason at all */
#endif
#ifndef TRIMS
#define TRIMS 0 /* events taken off the outbox's old end, one at a time */
#endif
#ifndef RENUMBERINGS
#define RENUMBERINGS 0 /* times (0 or 1) that the topic is deleted, and begins anew at seq 0 */
#endif
#ifndef RESYNCS
#define RESYNCS 0 /* of the commits, those that are leat.resync's entries */
#endif
#ifndef BEHINDS
#define BEHINDS 0 /* times that more waits for the worker than worker_mail_bytes */
#endif
#ifndef COMPARISONS
#define COMPARISONS 0 /* by the clock, once all is quiet; those after a reconnect are always made */
#endif
#ifndef SIBLINGS
#define SIBLINGS 0 /* 0 or 1 */
#endif
#ifndef RING
#define RING 2 /* events that the ring holds */
#endif
#ifndef BATCH
#define BATCH 2 /* rows that one fetch brings */
#endif

/* ---- The breakages: each takes one rule away. ------------------------------------------------ *
 *
 *   READ_BEFORE_ARM       the snapshot is read, then interest is registered, and the cursor starts at
 *                         the first event that comes: what servers do that do not know better
 *   NO_CONFIRM            interest is registered first, but the read does not wait for the hub's word
 *   NO_COMPARISON         after a reconnect, positions are not compared with the outbox
 *   NO_REPAIR             nothing is ever fetched for the hub
 *   DEAF_WHILE_FETCHING   a comparison, or a doubt, that comes while a fetch runs counts as answered
 *                         by it, although the fetch may have looked before
 *   FORGET_DOUBT          what was heard of a numbering is forgotten when a position of another one is told,
 *                         and the outbox not asked which of the two is true
 *   NO_BEGIN              the hub does not tell the workers where it began: they believe that it was at what
 *                         their own first read saw
 *   NO_CATCH_UP           a worker that was left behind is given events again without a word on where
 *   PASS_RESYNC           the cursor walks past a resync entry, as past somebody else's revocation
 *   HOLD_CURSOR           where it is a read that meets another numbering first, the old one's cursor is kept
 *   RING_GOES_BACK        later snapshots, too, take the position of the ring's head
 *   ANY_EPOCH             fetched rows are given before it is known whose numbering they are of
 */

#define K (COMMITS + 1)
#define EV(epoch, seq) ((epoch) * K + (seq)) /* an event, in one number */
#define SEQ(e) ((e) % K)
#define EPOCH(e) ((e) / K)
#define BIT(n) (1 << (n))

#define UNKNOWN 100 /* a head that no read has told yet */
#define NONE 3      /* no epoch */

/* ---- Postgres: what is committed. ------------------------------------------------------------ *
 *
 * A commit raises seq and shows the event in one step; a snapshot is one look at these variables. */

byte db_epoch, db_seq, db_trimmed; /* the outbox holds db_trimmed+1 ... db_seq */
short db_resyncs;                  /* a set: those entries that are resyncs */

bool listening = true; /* the server's end of the listener's connection: announced now, heard later */
bool up = true;        /* the hub's end, past the fence */
short air;             /* announced, not yet heard: a set of events */
byte doubles, losses;

/* ---- Mail. ----------------------------------------------------------------------------------- */

#define ARMED 250
#define RESET 251       /* positions start anew: history gone */
#define RESET_EPOCH 252 /* another numbering */

#define BEGIN 128       /* + EV(epoch, seq): the hub begins here; what follows is the next event */

chan to_worker = [COMMITS * 2 + 6] of {byte}; /* an event, or one of the above */

#define ARM 0
#define POSITION 1
chan to_hub = [12] of {byte, byte, byte, byte}; /* what, from whom (0 worker, 1 sibling), epoch, seq */

/* ---- The hub's topic. ------------------------------------------------------------------------ */

bool interest[2], confirmed[2];
byte head = UNKNOWN; /* last seq given to the workers */
byte heard;          /* highest seq that anything spoke of */
byte epoch = NONE;
byte pending;    /* a set: beyond head, or all that came while head is unknown */
bool unsure;     /* something may have been missed: ask as soon as it is possible */
bool wanted;     /* on hub->wanting */
bool fetching;   /* the running fetch asks for this topic, as it is now */
bool behind;     /* events are left out, since too much waits for the worker already */

#define IDLE 0
#define ASKED 1
#define ANSWERED 2
byte fetch, f_after, f_epoch, f_seq, f_trimmed; /* one at a time; what it saw when it looked */

/* ---- The worker's topic and its subscription. ------------------------------------------------ */

byte w_head = UNKNOWN, w_epoch = NONE, w_last_epoch = NONE, ring_count;
byte ring[RING];
bool armed;

/* The states of sub_table.c. LIVE stands for REPLAYING, too, and CATCHING_UP for REPLAYING_OUTBOX. The handler, the
 * slots, and what becomes of a position that the client brings are in revocation.pml. */
#define AUTHORIZING 0
#define ARMING 1
#define READING 2
#define WAITING_NUMBERING 3
#define LIVE 4
#define CATCHING_UP 5
#define REREADING 6
#define WAITING_READ_RETRY 7
#define is_reading (state == READING || state == REREADING)
byte state = AUTHORIZING;
byte next_seq;
bool asking = true;
bool renumbered; /* the handler is to run before anything is given */
bool tried; /* once more already, since the read was last begun for a new reason */

bool looked;             /* READING: the snapshot is taken, and on its way */
byte r_epoch, r_seq;     /* its position */
byte history, h_epoch, h_seq, h_trimmed; /* the subscription's own fetch: IDLE, ASKED, ANSWERED */

/* ---- The sibling. ---------------------------------------------------------------------------- */

byte s_state = AUTHORIZING, s_epoch, s_seq;
bool s_looked, s_armed, s_reset;

/* ---- The client, and what it may see. -------------------------------------------------------- */

bool c_has;
byte c_epoch, c_seq;

inline client_snapshot(ep, sq)
{
    /* A resync never goes back. */
    assert(!(c_has && ep == c_epoch && sq < c_seq));
    c_has = true;
    c_epoch = ep;
    c_seq = sq
}

inline client_event(e)
{
    /* P2: s+1, s+2 ..., no gap, no repeat, and of the numbering that the client was told. */
    assert(c_has && (e) == EV(c_epoch, c_seq + 1));
    /* Nobody comes past a resync but by a snapshot. */
    assert(!(db_resyncs & BIT(e)));
    c_seq = c_seq + 1
}

byte i; /* of loops inside a step; 0 between steps */

/* ---- World. ---------------------------------------------------------------------------------- *
 *
 * Every fault happens, at any time: also at the very beginning, where it harms nobody. */

inline commit()
{
    db_seq++;
    if
    :: listening -> air = air | BIT(EV(db_epoch, db_seq))
    :: else
    fi
}

proctype World()
{
    byte commits = COMMITS, cuts = CUTS, trims = TRIMS, renumberings = RENUMBERINGS,
         resyncs = RESYNCS;
end:
    do
    :: d_step { commits > 0 -> commits--; commit() }
    :: d_step {
        commits > 0 && resyncs > 0 ->
        commits--;
        resyncs--;
        db_resyncs = db_resyncs | BIT(EV(db_epoch, db_seq + 1));
        commit()
    }
    :: d_step {
        cuts > 0 && listening ->
        cuts--;
        listening = false;
        air = 0
    }
    :: d_step {
        trims > 0 ->
        trims--;
        if
        :: db_trimmed < db_seq -> db_trimmed++
        :: else
        fi
    }
    :: d_step {
        renumberings > 0 ->
        renumberings--;
        db_epoch = 1;
        db_seq = 0;
        db_trimmed = 0
    }
    od
}

/* ---- Hub: hub_topic.c. ----------------------------------------------------------------------- */

/* What is given to the worker from now on follows the head, and is of that numbering. */
inline tell_begin()
{
    if
#ifndef NO_BEGIN
    :: confirmed[0] -> to_worker!(BEGIN + EV(epoch, head))
#endif
    :: else
    fi;
    behind = false
}

inline confirm_all()
{
    if
    :: interest[0] && !confirmed[0] ->
        confirmed[0] = true;
        to_worker!ARMED;
        if
        :: head != UNKNOWN -> tell_begin()
        :: else
        fi
    :: else
    fi;
    if
    :: interest[1] && !confirmed[1] -> confirmed[1] = true; s_armed = true
    :: else
    fi
}

/* What a running fetch has seen may be older than the reason to ask. */
inline want_surely()
{
    if
#ifdef DEAF_WHILE_FETCHING
    :: fetching
#else
    :: fetching -> unsure = true
#endif
    :: else -> wanted = true
    fi
}

/* Its answer decides whether more is wanted. */
inline want()
{
    if
    :: !fetching -> wanted = true
    :: else
    fi
}

inline settle_doubts()
{
    if
    :: unsure -> want()
    :: else
    fi;
    unsure = false
}

inline give_next(e)
{
    head = head + 1;
    if
    :: interest[0] && !behind -> to_worker!(e)
    :: else
    fi
}

/* Of two numberings the outbox knows the later. */
inline forget_heard()
{
    pending = 0;
    heard = 0;
#ifndef FORGET_DOUBT
    unsure = true;
#endif
    epoch = NONE
}

inline advance()
{
    i = 1;
    do
    :: i < K ->
        if
        :: (pending & BIT(i)) && i == head + 1 -> give_next(EV(epoch, i))
        :: else
        fi;
        if
        :: i <= head -> pending = pending & ~BIT(i)
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0;
    if
    :: heard > head -> want()
    :: else
    fi
}

inline reset(why)
{
    forget_heard();
    wanted = false;
    fetching = false; /* a fetch that runs was asked from a position that is no more */
    head = UNKNOWN;
    if
    :: interest[0] -> to_worker!why
    :: else
    fi;
    s_reset = interest[1]
}

/* An announcement, with its data or, being too large or pending being full, without. */
inline announced(e, with_data)
{
    if
    :: !interest[0] && !interest[1]
    :: else ->
#ifdef READ_BEFORE_ARM
        if
        :: head == UNKNOWN -> head = SEQ(e) - 1; epoch = EPOCH(e); tell_begin() /* whatever comes first */
        :: else
        fi;
#endif
        if
        :: head != UNKNOWN && epoch != EPOCH(e) -> want_surely() /* the outbox knows which is true */
        :: else ->
            if
            :: head == UNKNOWN && epoch != NONE && epoch != EPOCH(e) -> forget_heard()
            :: else
            fi;
            epoch = EPOCH(e);
            if
            :: head != UNKNOWN && SEQ(e) <= head
            :: else ->
                if
                :: SEQ(e) > heard -> heard = SEQ(e)
                :: else
                fi;
                if
                :: with_data -> pending = pending | BIT(SEQ(e))
                :: else
                fi;
                if
                :: head != UNKNOWN -> advance()
                :: else
                fi
            fi
        fi
    fi
}

/* As far back as everything up to there is pending: another worker's read may be older. */
inline begin(ep, sq)
{
    if
    :: epoch != NONE && epoch != ep -> forget_heard()
    :: else
    fi;
    epoch = ep;
    head = sq;
    do
    :: head > 0 && (pending & BIT(head)) -> head--
    :: else -> break
    od;
    if
    :: heard < sq -> heard = sq
    :: else
    fi;
    tell_begin();
    advance();
    settle_doubts()
}

inline positioned(ep, sq)
{
    if
    :: head == UNKNOWN -> begin(ep, sq)
    :: head != UNKNOWN && epoch != ep -> want_surely()
    :: head != UNKNOWN && epoch == ep && sq > heard -> want() /* a little later, if it is not heard till then */
    :: else
    fi
}

/* ---- Hub: hub_repair.c. ---------------------------------------------------------------------- */

inline compare()
{
    if
    :: !interest[0] && !interest[1] /* the hub has no such topic */
    :: else ->
        if
        :: head == UNKNOWN -> unsure = true
        :: else -> want_surely()
        fi
    fi
}

inline give_rows()
{
    i = (f_trimmed > f_after -> f_trimmed : f_after) + 1; /* the first row there is */
    f_last = (f_seq < i + BATCH - 1 -> f_seq : i + BATCH - 1);
    f_any = f_seq > f_after && i <= f_last;
    do
    :: f_seq > f_after && i <= f_last ->
        if
#ifndef ANY_EPOCH
        :: f_epoch != epoch
#endif
        :: else ->
            if
            :: i == head + 1 -> give_next(EV(f_epoch, i))
            :: i > head + 1 -> pending = pending | BIT(i)
            :: else
            fi
        fi;
        i++
    :: else -> break
    od;
    i = 0
}

inline settle()
{
    if
    :: f_epoch != epoch || f_seq < f_after -> reset(RESET_EPOCH)
    :: else ->
        if
        :: f_seq > head && (!f_any || f_last > head) -> reset(RESET) /* trimmed */
        :: else ->
            if
            :: f_seq > heard -> heard = f_seq
            :: else
            fi;
            advance();
            settle_doubts()
        fi
    fi
}

/* ---- Listener. ------------------------------------------------------------------------------- */

proctype Listener()
{
end:
    do
    :: d_step { up && !listening -> up = false } /* hub.c: on_down */
    :: d_step { !up && !listening -> listening = true } /* LISTEN and the fence */
    :: d_step { /* hub.c: on_up */
        !up && listening ->
        up = true;
        confirm_all();
#ifndef NO_COMPARISON
        compare()
#endif
    }
    od
}

/* ---- Hub. --------------------------------------------------------------------------------------- */

proctype Hub()
{
    byte what, who, ep, sq, e, f_last, behinds = BEHINDS;
    bool f_any;
end:
    do
    :: d_step {
        to_hub?what,who,ep,sq ->
        if
        :: what == ARM ->
            interest[who] = true;
            if
            :: up -> confirm_all()
            :: else
            fi
        :: else -> positioned(ep, sq)
        fi;
        what = 0; who = 0; ep = 0; sq = 0
    }

    :: atomic { /* some announcement is heard, with its data or without, for good or not */
        up && air != 0 ->
        if
        :: air & BIT(1) -> e = 1
        :: air & BIT(2) -> e = 2
        :: air & BIT(3) -> e = 3
        :: air & BIT(4) -> e = 4
        :: air & BIT(5) -> e = 5
        :: air & BIT(6) -> e = 6
        :: air & BIT(7) -> e = 7
        :: air & BIT(8) -> e = 8
        :: air & BIT(9) -> e = 9
        fi;
        if
        :: air = air & ~BIT(e)
        :: doubles < DOUBLES -> doubles++
        fi;
        if
        :: d_step { announced(e, true); e = 0 }
        :: d_step { announced(e, false); e = 0 }
        :: losses < LOSSES -> losses++; e = 0
        fi
    }

    :: d_step { behinds > 0 && confirmed[0] -> behinds--; behind = true }
    :: d_step { /* hub_topic_catch_up */
        behind ->
#ifndef NO_CATCH_UP
        if
        :: head != UNKNOWN -> tell_begin()
        :: else
        fi;
#endif
        behind = false
    }

#ifndef NO_REPAIR
    :: d_step { wanted && fetch == IDLE -> fetch = ASKED; wanted = false; fetching = true; f_after = head }
    :: d_step { /* Postgres looks */
        fetch == ASKED ->
        fetch = ANSWERED;
        f_epoch = db_epoch;
        f_seq = db_seq;
        f_trimmed = db_trimmed
    }
    :: d_step { /* on_history */
        fetch == ANSWERED ->
        fetch = IDLE;
        if
        :: fetching -> give_rows(); fetching = false; settle()
        :: else
        fi;
        f_after = 0; f_epoch = 0; f_seq = 0; f_trimmed = 0; f_last = 0; f_any = false
    }
#endif
    od
}

/* ---- Worker: topic.c. ------------------------------------------------------------------------ */

inline renumber()
{
    next_seq = 0;
    renumbered = true
}

/* After a restart it may be a read, not the hub, that is the first to meet another numbering. */
inline adopt_epoch(ep)
{
    w_epoch = ep;
    if
#ifndef HOLD_CURSOR
    :: w_last_epoch != NONE && w_last_epoch != ep -> renumber()
#endif
    :: else
    fi
}

/* A read saw the topic there. */
inline topic_position(ep, sq)
{
    if
    :: w_epoch == NONE ->
        adopt_epoch(ep);
        if
        :: w_head == UNKNOWN -> w_head = sq
        :: else
        fi;
        to_hub!POSITION,0,ep,sq
    :: w_epoch != NONE && (w_epoch != ep || sq > w_head) -> to_hub!POSITION,0,ep,sq
    :: else
    fi
}

inline begin_read()
{
    state = (asking -> READING : REREADING);
    looked = false;
    r_epoch = 0; r_seq = 0;
    history = IDLE; h_epoch = 0; h_seq = 0; h_trimmed = 0
}

inline begin_resync()
{
    renumbered = false; /* the handler runs, and says yes */
    tried = false;
    begin_read()
}

inline sub_resync()
{
    if
    :: state == AUTHORIZING || state == ARMING
    :: is_reading -> tried = false /* it reads anyway */
    :: else -> begin_resync()
    fi
}

inline clear_ring()
{
    ring_count = 0;
    i = 0;
    do
    :: i < RING -> ring[i] = 0; i++
    :: else -> break
    od;
    i = 0
}

inline restart(why)
{
    clear_ring();
    w_head = UNKNOWN;
    if
    :: why == RESET_EPOCH -> w_last_epoch = NONE; renumber()
    :: why != RESET_EPOCH && w_epoch != NONE -> w_last_epoch = w_epoch
    :: else
    fi;
    w_epoch = NONE;
    sub_resync()
}

/* Nothing up to there will come from the hub: a cursor that is behind takes it from the outbox. */
inline topic_begins(ep, sq)
{
    if
    :: w_epoch != NONE && w_epoch != ep -> restart(RESET_EPOCH)
    :: else
    fi;
    if
    :: w_epoch == NONE -> adopt_epoch(ep)
    :: else
    fi;
    if
    :: w_head == UNKNOWN || w_head < sq -> clear_ring(); w_head = sq
    :: else
    fi
}

inline topic_event(e)
{
    if
    :: !armed || w_head == UNKNOWN || SEQ(e) <= w_head /* a read was faster */
    :: else ->
        assert(SEQ(e) == w_head + 1); /* what the hub gives is contiguous */
        w_head = SEQ(e);
        ring[w_head % RING] = e;
        if
        :: ring_count < RING -> ring_count++
        :: else
        fi
    fi
}

/* ---- Worker: sub.c, sub_start.c, sub_read.c, sub_replay.c. ----------------------------------- */

inline deliver(e)
{
    if
#ifndef PASS_RESYNC
    :: db_resyncs & BIT(e) ->
        next_seq = SEQ(e) + 1; /* an older snapshot will not do */
        begin_resync()
#endif
    :: else ->
        client_event(e);
        next_seq = SEQ(e) + 1
    fi
}

inline give_snapshot()
{
    client_snapshot(r_epoch, r_seq);
    next_seq = r_seq + 1;
    asking = false;
    tried = false;
    looked = false;
    state = LIVE;
    r_epoch = 0; r_seq = 0
}

#define usable (w_epoch == r_epoch && (asking || r_seq + 1 >= next_seq))

/* What becomes of a snapshot at (r_epoch, r_seq). */
inline answer_read()
{
    topic_position(r_epoch, r_seq);
    if
    :: renumbered -> begin_resync()
    :: !renumbered && usable -> give_snapshot()
    :: !renumbered && !usable && !tried -> begin_read(); tried = true /* once more, a little later */
    :: else -> /* in vain, until there is a reason to try anew; Judge sees if there is none */
        state = (asking -> WAITING_NUMBERING : WAITING_READ_RETRY);
        looked = false;
        r_epoch = 0; r_seq = 0
    fi
}

proctype Worker()
{
    byte m;
end:
    do
    /* The handler says yes: arm, and wait for the hub's word. */
    :: d_step {
        state == AUTHORIZING ->
#ifdef READ_BEFORE_ARM
        begin_read()
#else
        to_hub!ARM,0,0,0;
        state = ARMING;
#ifdef NO_CONFIRM
        begin_read()
#endif
#endif
    }

    :: d_step {
        to_worker?m ->
        if
        :: m == ARMED ->
            armed = true;
            if
#ifdef READ_BEFORE_ARM
            :: state == ARMING -> state = LIVE; next_seq = 0
#else
            :: state == ARMING -> begin_read()
#endif
            :: else
            fi
        :: m == RESET || m == RESET_EPOCH -> restart(m)
        :: m >= BEGIN && m < ARMED -> topic_begins(EPOCH(m - BEGIN), SEQ(m - BEGIN))
        :: else -> topic_event(m)
        fi;
        m = 0
    }

    /* One MVCC snapshot: the position and all that the snapshot is made of. P1: armed before. */
    :: d_step {
        is_reading && !looked ->
        looked = true;
        r_epoch = db_epoch;
        r_seq = db_seq;
#if !defined(READ_BEFORE_ARM) && !defined(NO_CONFIRM)
        assert(interest[0] && confirmed[0] && armed)
#endif
    }

#if !defined(READ_BEFORE_ARM) && !defined(NO_CONFIRM)
    /* A snapshot of nothing that the database holds is good at every position. So the first one of a client takes that
     * of the ring's head. A later one could take the client back: the ring may have begun anew, behind it. */
    :: d_step {
#ifndef RING_GOES_BACK
        state == READING &&
#else
        is_reading &&
#endif
        !looked && w_epoch != NONE && w_head != UNKNOWN ->
        r_epoch = w_epoch;
        r_seq = w_head;
        answer_read()
    }
#endif

    /* The read's answer. */
    :: d_step {
        is_reading && looked ->
#ifdef READ_BEFORE_ARM
        give_snapshot();
        to_hub!ARM,0,0,0;
        state = ARMING
#else
        answer_read()
#endif
    }

    /* leat_sub_move_all, one event a step: a client may be as slow as it likes. */
    :: d_step {
        state == LIVE && w_head != UNKNOWN && next_seq <= w_head ->
#ifdef READ_BEFORE_ARM
        if
        :: next_seq == 0 -> next_seq = w_head - ring_count + 1
        :: else
        fi;
#endif
        if
        :: next_seq > w_head - ring_count -> deliver(ring[next_seq % RING])
        :: else -> state = CATCHING_UP; history = ASKED /* it fell off */
        fi
    }

    :: d_step { /* Postgres looks */
        history == ASKED ->
        history = ANSWERED;
        h_epoch = db_epoch;
        h_seq = db_seq;
        h_trimmed = db_trimmed
    }

    :: d_step { /* on_caught_up: what follows the cursor, or another snapshot */
        history == ANSWERED ->
        topic_position(h_epoch, h_seq);
        if
        :: h_epoch != w_epoch || h_trimmed >= next_seq || h_seq < next_seq -> begin_resync()
        :: else ->
            do
            :: i < BATCH && state == CATCHING_UP && next_seq <= h_seq -> deliver(EV(h_epoch, next_seq)); i++
            :: else -> break
            od;
            i = 0;
            if
            :: state == CATCHING_UP -> state = LIVE
            :: else
            fi
        fi;
        history = IDLE; h_epoch = 0; h_seq = 0; h_trimmed = 0
    }
    od
}

/* ---- Sibling: what the hub sees of another worker, with a subscription of its own. ----------- */

proctype Sibling()
{
end:
    do
    :: d_step { s_state == AUTHORIZING -> s_state = ARMING; to_hub!ARM,1,0,0 }
    :: d_step {
        s_armed && (s_state == ARMING || s_reset) ->
        s_state = READING;
        s_reset = false;
        s_looked = false;
        s_epoch = 0;
        s_seq = 0
    }
    :: d_step {
        s_state == READING && !s_looked ->
        s_looked = true;
        s_epoch = db_epoch;
        s_seq = db_seq
    }
    :: d_step {
        s_state == READING && s_looked ->
        to_hub!POSITION,1,s_epoch,s_seq;
        s_state = LIVE;
        s_looked = false;
        s_epoch = 0;
        s_seq = 0
    }
    od
}

/* ---- Judge. ---------------------------------------------------------------------------------- *
 *
 * timeout is true when no process can move: all is committed, all is heard or lost, the broker is up, every
 * fetch is answered. The client then has everything: at once, or where announcements get lost for no reason,
 * after the clock's comparison. */

/* A topic that is deleted says nothing of it until it is published to again: that is for the clock to find. */
#define QUIETLY_RENUMBERED (COMPARISONS == 0 && db_epoch > 0 && db_seq == 0)

proctype Judge()
{
    byte comparisons = COMPARISONS;
    do
    :: timeout ->
        if
        :: comparisons > 0 -> d_step { comparisons--; compare() }
        :: else -> break
        fi
    od;
    assert(c_has && (c_epoch == db_epoch && c_seq == db_seq || QUIETLY_RENUMBERED))
}

init
{
    atomic {
        run World();
        run Listener();
        run Hub();
        run Worker();
        if
        :: SIBLINGS > 0 -> run Sibling()
        :: else
        fi;
        run Judge()
    }
}
