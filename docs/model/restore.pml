/* restore.pml - the history of the database across restarts, restores and dumps, as a model that spin searches whole.
 *
 * What it shows, what it leaves out, and how to run it: docs/model.md. The names are those of the code: leat_internal.attend and
 * leat_internal.position (config/schema), HUB_ATTENDING (csrc/hub), the states of csrc/core/sub_table.c.
 *
 * The story, in the order of this file:
 *
 *   World    commits events and trims the outbox; makes a backup; restarts Postgres, puts the backup in place, or loads
 *            it as a dump; cuts the listener's connection
 *   Hub      connects, attends, hears announcements, fetches         hub.c, hub_attend.c, hub_topic.c, hub_repair.c
 *   Client   one subscription, and a client that goes and comes back with its position    sub_table.c
 *   Judge    when nothing can move any more: has the client what the database has?
 *
 * A callback of a single-threaded loop runs to its end: it is one step here (d_step). Between any two steps, anything
 * else may happen.
 */

/* ---- The bounds; each can be given with -D. -------------------------------------------------- */

#ifndef COMMITS
#define COMMITS 3 /* events, over all states of the database */
#endif
#ifndef RESTARTS
#define RESTARTS 0 /* times that Postgres is started again and has everything that it had */
#endif
#ifndef RESTORES
#define RESTORES 1 /* times that Postgres is stopped and started with the backup in place */
#endif
#ifndef DUMPS
#define DUMPS 0 /* times that the backup is loaded as a dump over the tables, while Postgres runs */
#endif
#ifndef CUTS
#define CUTS 0 /* times that only the listener's connection is cut */
#endif
#ifndef TRIMS
#define TRIMS 0 /* events taken off the outbox's old end */
#endif
#ifndef LEAVES
#define LEAVES 1 /* times that the client goes and comes back with its position */
#endif

/* ---- The breakages: each takes one rule away. ------------------------------------------------ *
 *
 *   ALWAYS_CONTINUED      a start of Postgres always goes on with the history
 *   NUMBERS_ONLY          an entry is recognised by its number, not by the time at which it was written
 *   NO_CONFIRMATION       positions are given although no server has confirmed this start of Postgres
 *   HEAR_UNATTENDED       the hub hears and gives announcements before leat_internal.attend has answered
 *   DUMP_CONTINUED        the tables of a dump may go on with the history, as those of a restart may
 *   DUMP_SEALED           what is published into the tables of a dump is announced with a signature
 *   KEEP_TOPICS           another history does not reset the topics
 *   DEAF_TO_UNCONFIRMED   a read that is refused because nobody has confirmed the history does not make the hub attend
 */

#define SIZE (COMMITS + 1)

/* ---- Postgres. ------------------------------------------------------------------------------- *
 *
 * An event is known by its value: the number of its commit, over all states of the database. It stands for the
 * contents and for the time at which it was written. */

byte db_history, db_seq, db_trimmed;
byte db_value[SIZE]; /* by seq; the outbox holds those beyond db_trimmed, the others only count for the assertions */
bool db_confirmed = true; /* this start of Postgres was confirmed */
bool db_dumped;           /* the tables were loaded from a dump since they were confirmed */
byte commits;             /* so far */
byte histories;           /* ids given so far */

bool backup_made;
byte b_history, b_seq, b_trimmed;
byte b_value[SIZE];

bool listening; /* Postgres's end of the listener's connection */
bool was_lost;  /* some state of the database was replaced by an earlier one */

#ifndef NO_CONFIRMATION
#define positions_given (db_confirmed && !db_dumped)
#else
#define positions_given true
#endif

/* ---- Announcements on their way: in the order of the commits. --------------------------------- */

chan air = [COMMITS] of {byte, byte, byte, byte, bool}; /* history, seq, the value before, value, sealed */

/* ---- The hub. -------------------------------------------------------------------------------- */

#define HUB_DOWN 0
#define HUB_ATTENDING 1
#define HUB_READY 2
byte phase = HUB_DOWN;

#define IDLE 0
#define ASKED 1
#define ANSWERED 2
byte attend = IDLE, a_history, a_seq, a_value; /* leat_internal.attend's answer: with the newest entry */
bool again;                                    /* attend once more when it has answered */

bool knows_history;
byte hub_history;
byte n_seq, n_value; /* the newest anchor: heard, or the newest at the last attending */

bool head_known;
byte head;
bool wanted;
byte fetch = IDLE, f_after, f_history, f_seq, f_trimmed, f_before, f_value; /* one row: f_after + 1 */

/* ---- The subscription and its client. --------------------------------------------------------- */

#define GONE 0
#define ARMING 1
#define RESUMING 2
#define READING 3 /* and REREADING, WAITING_READ_RETRY: a read that is refused is repeated */
#define LIVE 4    /* and REPLAYING */
#define CATCHING_UP 5
byte state = GONE;
byte look = IDLE, l_history, l_seq, l_value; /* the read that the state has under way */

/* WAITING_READ_RETRY, and the hub's back-off: what was refused is repeated. That it is refused again changes nothing, so
 * here it is repeated when it can succeed. */
bool refused;
#define may_look (!refused || positions_given)

bool has;                /* the client has something */
byte c_history, c_seq, c_value;

/* P2 and P11: what the client is given goes on from what it has. */
inline client_event(seq, before, value)
{
    assert(seq == c_seq + 1 && before == c_value);
    c_seq = seq;
    c_value = value
}

/* ---- World. ----------------------------------------------------------------------------------- */

inline cut()
{
    do
    :: nempty(air) -> air?_,_,_,_,_
    :: empty(air) -> break
    od;
    listening = false
}

inline make_backup()
{
    do
    :: i < SIZE -> b_value[i] = db_value[i]; i++
    :: else -> break
    od;
    i = 0;
    b_history = db_history;
    b_seq = db_seq;
    b_trimmed = db_trimmed
}

inline put_backup()
{
    do
    :: i < SIZE -> db_value[i] = b_value[i]; i++
    :: else -> break
    od;
    i = 0;
    was_lost = true;
    db_history = b_history;
    db_seq = b_seq;
    db_trimmed = b_trimmed
}

/* To put a backup in place takes longer than an announcement or an answer is on its way (docs/model.md). */
#ifndef IN_AN_INSTANT
#define all_has_arrived \
    (fetch != ANSWERED && look != ANSWERED && (!has || c_history != hub_history || n_seq >= c_seq))
#else
#define all_has_arrived true
#endif

#ifndef DUMP_SEALED
#define is_sealed (!db_dumped)
#else
#define is_sealed true
#endif

proctype World()
{
    byte restarts = RESTARTS, restores = RESTORES, dumps = DUMPS, cuts = CUTS, trims = TRIMS, i;
end:
    do
    :: d_step {
        commits < COMMITS ->
        commits++;
        db_seq++;
        db_value[db_seq] = commits;
        if
        :: listening -> air!db_history,db_seq,db_value[db_seq - 1],commits,is_sealed
        :: else
        fi
    }
    :: d_step { trims > 0 && db_trimmed < db_seq -> trims--; db_trimmed++ }
    :: d_step { cuts > 0 && listening -> cuts--; cut() }
    :: d_step { restarts > 0 -> restarts--; db_confirmed = false; cut() }
    :: d_step {
        !backup_made && restores + dumps > 0 ->
        backup_made = true;
        make_backup()
    }
    :: d_step {
        restores > 0 && backup_made && all_has_arrived ->
        restores--;
        put_backup();
        db_confirmed = false;
        db_dumped = false;
        cut()
    }
    :: d_step {
        dumps > 0 && backup_made && all_has_arrived ->
        dumps--;
        put_backup();
        db_confirmed = false;
        db_dumped = true
    }
    od
}

/* ---- leat_internal.attend. ------------------------------------------------------------------- */

#define in_outbox(seq) ((seq) > db_trimmed && (seq) <= db_seq)
#define of_this_history (knows_history && hub_history == db_history)

#ifndef NUMBERS_ONLY
#define is_changed(seq, value) (in_outbox(seq) && db_value[seq] != value)
#else
#define is_changed(seq, value) false
#endif

/* leat.test_anchors */
#define anchor_holds (n_seq > 0 && of_this_history && in_outbox(n_seq) && !is_changed(n_seq, n_value))
#define anchor_broken (of_this_history && n_seq > 0 && (n_seq > db_seq || is_changed(n_seq, n_value)))

#ifndef DUMP_CONTINUED
#define may_continue (!db_dumped)
#else
#define may_continue true
#endif

inline renew()
{
    histories++;
    db_history = histories
}

/* leat.judge_history, and what follows from the verdict. */
inline attend_database()
{
    if
#ifndef ALWAYS_CONTINUED
    :: anchor_broken -> renew()
    :: !anchor_broken && db_confirmed && !db_dumped
    :: !anchor_broken && !(db_confirmed && !db_dumped) && anchor_holds && may_continue
    :: !anchor_broken && !(db_confirmed && !db_dumped) && !(anchor_holds && may_continue) ->
        assert(was_lost || n_seq == 0 || !in_outbox(n_seq)); /* a restart alone renews nothing */
        renew()
#endif
    :: else
    fi;
    db_confirmed = true;
    db_dumped = false;
    attend = ANSWERED;
    a_history = db_history;
    a_seq = (db_seq > db_trimmed -> db_seq : 0);
    a_value = (db_seq > db_trimmed -> db_value[db_seq] : 0)
}

/* ---- Hub. -------------------------------------------------------------------------------------- */

inline attend_check()
{
    if
    :: phase == HUB_DOWN /* it attends when it is up again */
    :: phase != HUB_DOWN && attend == IDLE -> attend = ASKED
    :: else -> again = true
    fi
}

inline attend_unconfirmed()
{
    skip;
#ifndef DEAF_TO_UNCONFIRMED
    if
    :: phase == HUB_READY -> phase = HUB_ATTENDING
    :: else
    fi;
    attend_check()
#endif
}

inline end_fetch()
{
    fetch = IDLE; f_after = 0; f_history = 0; f_seq = 0; f_trimmed = 0; f_before = 0; f_value = 0
}

/* The hub resets its topics, and the subscription reads anew. (One step: the mail between them is in order.) */
inline reset_topics()
{
    skip;
#ifndef KEEP_TOPICS
    head_known = false; head = 0;
    end_fetch();
    if
    :: state == LIVE || state == CATCHING_UP || state == RESUMING -> read_anew()
    :: else
    fi
#endif
}

inline be_refused()
{
    refused = true;
    attend_unconfirmed()
}

inline stop_looking()
{
    look = IDLE; l_history = 0; l_seq = 0; l_value = 0
}

inline read_anew()
{
    stop_looking();
    state = READING
}

/* take_history, take_newest, adopt */
inline adopt()
{
    if
    :: knows_history && hub_history == a_history
    :: else ->
        n_seq = 0; n_value = 0;
        if
        :: knows_history -> reset_topics()
        :: else
        fi
    fi;
    knows_history = true;
    hub_history = a_history;
    if
    :: a_value > n_value -> n_seq = a_seq; n_value = a_value
    :: else
    fi;
    phase = HUB_READY;
    wanted = head_known;
    attend = IDLE; a_history = 0; a_seq = 0; a_value = 0;
    if
    :: again -> again = false; attend = ASKED
    :: else
    fi
}

/* The cursor takes what is next; what the hub has given and the cursor has missed comes from the outbox. */
inline give(seq, before, value)
{
    head = seq;
    if
    :: state == LIVE && c_history == hub_history && c_seq + 1 == seq -> client_event(seq, before, value)
    :: state == LIVE && c_history == hub_history && c_seq + 1 < seq -> state = CATCHING_UP
    :: else
    fi
}

inline announced(history, seq, before, value, sealed)
{
    if
    :: !sealed -> attend_check()
    :: sealed && history != hub_history -> attend_check(); wanted = head_known
    :: else ->
        if
        :: seq > n_seq -> n_seq = seq; n_value = value
        :: else
        fi;
        if
        :: head_known && seq == head + 1 -> give(seq, before, value)
        :: head_known && seq != head + 1 -> wanted = true /* a hole, or a number that was announced before */
        :: else
        fi
    fi
}

proctype Hub()
{
    byte history, seq, before, value;
    bool sealed;
end:
    do
    :: d_step { /* on_down */
        phase != HUB_DOWN && !listening ->
        phase = HUB_DOWN;
        attend = IDLE; a_history = 0; a_seq = 0; a_value = 0; again = false
    }
    :: d_step { phase == HUB_DOWN -> listening = true; phase = HUB_ATTENDING; attend = ASKED }
    :: d_step { attend == ASKED -> attend_database() }
    :: d_step { attend == ANSWERED -> adopt() }

    :: d_step { /* on_announce */
        nempty(air) && phase != HUB_DOWN ->
        air?history,seq,before,value,sealed;
        if
#ifndef HEAR_UNATTENDED
        :: phase != HUB_READY /* as lost */
#endif
        :: else -> announced(history, seq, before, value, sealed)
        fi;
        history = 0; seq = 0; before = 0; value = 0; sealed = false
    }

    :: d_step { /* a fetch begins, and Postgres looks; the answer comes later */
        phase == HUB_READY && wanted && fetch == IDLE && head_known && may_look ->
        f_after = head;
        wanted = false;
        if
        :: !positions_given -> wanted = true; f_after = 0; be_refused()
        :: else ->
            refused = false;
            fetch = ANSWERED;
            f_history = db_history;
            f_seq = db_seq;
            f_trimmed = db_trimmed;
            f_before = db_value[f_after];
            f_value = (db_seq > f_after -> db_value[f_after + 1] : 0)
        fi
    }
    :: d_step { /* on_history */
        fetch == ANSWERED ->
        if
        :: f_history != hub_history -> attend_check(); reset_topics()
        :: f_history == hub_history && (f_seq < f_after || (f_seq > f_after && f_trimmed > f_after && f_seq > head)) ->
            reset_topics()
        :: else ->
            if
            :: f_seq > f_after && f_trimmed <= f_after && f_after == head ->
                seq = f_after + 1;
                give(seq, f_before, f_value);
                if
                :: f_value > n_value -> n_seq = seq; n_value = f_value
                :: else
                fi;
                seq = 0
            :: else
            fi;
            wanted = f_seq > head
        fi;
        end_fetch()
    }
    od
}

/* ---- Client. ------------------------------------------------------------------------------------ */

proctype Client()
{
    byte leaves = LEAVES;
end:
    do
    :: d_step { state == GONE -> state = ARMING }
    :: d_step { leaves > 0 && (state == LIVE || state == CATCHING_UP) -> leaves--; stop_looking(); state = GONE }

    :: d_step { /* the hub confirms that it listens: sub_choose_start */
        state == ARMING && phase == HUB_READY ->
        if
        :: has -> state = RESUMING
        :: else -> state = READING
        fi
    }

    /* Postgres looks, and answers later. (sub_ask_outbox, read.c, catch_up.c) */
    :: d_step {
        look == IDLE && (state == RESUMING || state == READING || state == CATCHING_UP) &&
            (phase == HUB_READY || positions_given) && may_look ->
        if
        :: !positions_given -> be_refused()
        :: else ->
            refused = false;
            look = ANSWERED;
            l_history = db_history;
            l_seq = db_seq;
            if
            :: state == READING -> l_value = db_value[db_seq]
            :: state == CATCHING_UP && db_seq > c_seq && db_trimmed <= c_seq -> l_value = db_value[c_seq + 1]
            :: state == RESUMING -> l_value = (c_seq <= db_seq -> db_value[c_seq] : 0)
            :: else
            fi
        fi
    }

    :: d_step { /* on_history: the client goes on from its position, or reads */
        state == RESUMING && look == ANSWERED ->
        if
        :: l_history == c_history && l_seq >= c_seq && (!knows_history || l_history == hub_history) ->
            assert(l_value == c_value); /* P11 */
            stop_looking();
            state = CATCHING_UP
        :: else -> read_anew()
        fi
    }
    :: d_step { /* on_read: the snapshot, unless it is of another history than the topic */
        state == READING && look == ANSWERED ->
        if
        :: l_history != hub_history -> attend_check(); stop_looking() /* WAITING_NUMBERING, WAITING_READ_RETRY */
        :: else ->
            has = true;
            c_history = l_history;
            c_seq = l_seq;
            c_value = l_value;
            if
            :: !head_known -> head_known = true; head = l_seq; wanted = true
            :: head_known && l_seq > head -> wanted = true
            :: else
            fi;
            state = (l_seq < head -> CATCHING_UP : LIVE);
            stop_looking()
        fi
    }
    :: d_step { /* on_caught_up: one row, the end, or another history */
        state == CATCHING_UP && look == ANSWERED ->
        if
        :: l_history != c_history || l_seq < c_seq -> read_anew()
        :: l_history == c_history && l_seq > c_seq && l_value == 0 -> read_anew() /* trimmed */
        :: l_history == c_history && l_seq > c_seq && l_value != 0 ->
            client_event(c_seq + 1, c_value, l_value);
            stop_looking()
        :: else ->
            if
            :: !head_known -> head_known = true; head = c_seq; wanted = true
            :: else
            fi;
            stop_looking();
            if
            :: head > c_seq /* the hub has given more since the outbox was read */
            :: else -> state = LIVE
            fi
        fi
    }
    od
}

/* ---- Judge: when nothing can move any more. ------------------------------------------------------ */

proctype Judge()
{
    bool compared;
    do
    :: timeout ->
        if
        :: !compared -> compared = true; wanted = head_known /* hub_repair_compare_all, by the clock */
        :: else -> break
        fi
    od;
    assert(has && c_history == db_history && c_seq == db_seq && c_value == db_value[db_seq])
}

init
{
    atomic {
        run World();
        run Hub();
        run Client();
        run Judge()
    }
}
