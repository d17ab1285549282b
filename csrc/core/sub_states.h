/* sub_states.h - the states of a subscription, and the events that it meets.
 *
 * Ownership  nothing is owned.
 * Threads    loop thread only.
 * Units      none.
 * Errors     none.
 *
 * scripts/draw_states.lua reads the two lists, comments included, for docs/architecture.md. */
#ifndef LEAT_CORE_SUB_STATES_H
#define LEAT_CORE_SUB_STATES_H

typedef struct leat_sub leat_sub;
typedef struct sub_news sub_news;

/* In the order of a subscription's life. Up to WAITING_NUMBERING the subscribe is not yet answered;
 * from REPLAYING on it is. */
#define SUB_STATES(X)                                                                              \
    X(NEW)                  /* the subscription has just been made */                              \
    X(AUTHORIZING)          /* the handler runs for the subscribe */                               \
    X(ARMING)               /* the hub does not listen for the topic yet */                        \
    X(STARTING)             /* decides from where the client starts; nothing rests here */         \
    X(RESUMING)             /* the outbox is asked whether the client's position holds */          \
    X(READING)              /* the first snapshot is read */                                       \
    X(WAITING_NUMBERING)    /* a read met another numbering than the ring's: it is repeated */     \
    X(REPLAYING)            /* the cursor moves, and has not been at the ring's head yet */        \
    X(REPLAYING_OUTBOX)     /* as REPLAYING; the ring lacks the next event, which is fetched */    \
    X(LIVE)                 /* the cursor has been at the ring's head, and follows it */           \
    X(CATCHING_UP)          /* as LIVE; the ring lacks the next event, which is fetched */         \
    X(WAITING_HANDLER_SLOT) /* the right is in doubt; the handler waits for a slot */              \
    X(REAUTHORIZING)        /* the handler runs again */                                           \
    X(HELD)                 /* the handler could not read; it runs again after a while */          \
    X(CONTINUING)           /* decides what the client gets next; nothing rests here */            \
    X(PARKED)               /* a snapshot is due, but the client takes no more */                  \
    X(WAITING_READ_SLOT)    /* a snapshot is due; its read waits for a slot */                     \
    X(REREADING)            /* a snapshot is due, and is read */                                   \
    X(WAITING_READ_RETRY)   /* the snapshot could not be read; it is read again later */           \
    X(CLOSED)               /* the subscription has ended */

#define SUB_EVENTS(X)                                                                              \
    X(SUBSCRIBE)     /* a client or a script subscribes; the handler is to decide */               \
    X(GRANTED)       /* a stream subscribes, which was authorised before its upgrade */            \
    X(AUTHORIZED)    /* the handler says yes */                                                    \
    X(REFUSED)       /* the handler, or a read, says no */                                         \
    X(FAILED)        /* the database gave the handler, or a read, no answer */                     \
    X(ARMED)         /* the hub listens for the topic */                                           \
    X(RESUMABLE)     /* ring or outbox lead on from the client's position */                       \
    X(UNCERTAIN)     /* only the outbox can say whether the client's position holds */             \
    X(SNAPSHOT_DUE)  /* the client needs a snapshot */                                             \
    X(NOTHING_DUE)   /* the client needs no snapshot: the cursor can go on */                      \
    X(IN_DOUBT)      /* there may be a revocation that the handler has not seen */                 \
    X(SNAPSHOT)      /* a snapshot was read, and can be given */                                   \
    X(OUTDATED)      /* a snapshot was read, of another numbering or behind the cursor */          \
    X(NO_ROOM)       /* a snapshot was read, but too much is queued for the client already */      \
    X(KEPT_STALE)    /* the read that was to replace a stale snapshot brought nothing */           \
    X(FRESH_LATE)    /* a stale snapshot can be replaced, if the cursor waits for it */            \
    X(FRESH_DOUBTED) /* a stale snapshot can be replaced, once the handler has run again */        \
    X(OLD_SCRIPTS)   /* the scripts that read the stale snapshot were replaced */                  \
    X(SLOT)          /* the database slot is there */                                              \
    X(FULL)          /* the client takes no more */                                                \
    X(MOVE)          /* events have come, or the client takes more */                              \
    X(HEAD)          /* the cursor has come to the ring's head */                                  \
    X(GAP)           /* the ring lacks the event at the cursor */                                  \
    X(CAUGHT_UP)     /* the outbox brought the event at the cursor */                              \
    X(GONE)          /* the outbox lacks the event at the cursor, too */                           \
    X(RESYNC)        /* what the client has is to be replaced */                                   \
    X(RENUMBERED)    /* the topic's numbers begin anew */                                          \
    X(IDENTITY)      /* the client has another identity, or the grant has expired */               \
    X(SIGNAL)        /* a signal was sent */                                                       \
    X(DEADLINE)      /* the state's own deadline has passed */                                     \
    X(CLOSE)         /* the client unsubscribes, or is gone */

#define SUB_ENUM(name) SUB_##name,
typedef enum sub_state { SUB_STATES(SUB_ENUM) SUB_STATE_COUNT } sub_state;
#undef SUB_ENUM

#define SUB_ENUM(name) SUB_ON_##name,
typedef enum sub_event { SUB_ON_NOTHING, SUB_EVENTS(SUB_ENUM) SUB_EVENT_COUNT } sub_event;
#undef SUB_ENUM

/* What the time of a subscribe goes into. QUEUE is the time in which the handler waited for its
 * turn, or a read for a connection; it does not count for AUTHORISE and READ. */
typedef enum sub_stage {
    SUB_STAGE_NONE,
    SUB_STAGE_QUEUE,
    SUB_STAGE_AUTHORISE,
    SUB_STAGE_ARM,
    SUB_STAGE_READ,
    SUB_STAGES,
} sub_stage;

/* The act of a rule, or the entry of a state. Returns the event that happens next, or
 * SUB_ON_NOTHING. */
typedef sub_event (*sub_act)(leat_sub *s, sub_news *news);

#endif
