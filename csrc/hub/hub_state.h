/* hub_state.h - the data of the hub, on which hub.c and most files of hub_*.c work. Their functions
 * are in their own headers.
 *
 * Ownership  the hub owns its workers and topics. A topic lives while a worker is interested in
 *            it.
 * Threads    the hub's, but for hub_health.
 * Units      seq; bytes; milliseconds.
 * Errors     none.
 */
#ifndef LEAT_HUB_HUB_STATE_H
#define LEAT_HUB_HUB_STATE_H

#include "base/backoff.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/log.h"
#include "base/log_series.h"
#include "base/map.h"
#include "hub/broker.h"
#include "hub/hub_anchor.h"
#include "hub/hub_health.h"
#include "hub/hub_held.h"
#include "hub/hub_pending.h"
#include "hub/hub_worker.h"
#include "outbox/history.h"
#include "outbox/trim.h"
#include "pg/pg_job.h"

typedef struct leat_hub leat_hub;

/* In place of a topic's seq, until a worker's read has told where the topic stands. */
#define LEAT_HUB_UNKNOWN (-1)

/* What is known of a topic. It is disputed after a number was announced twice: then the log went
 * back to an earlier state, and no announced event is given before the outbox was asked. */
typedef enum hub_standing {
    HUB_UNPLACED,          /* no read has told yet where the topic stands: nothing is given */
    HUB_UNPLACED_DISPUTED, /* likewise, and a number was announced twice */
    HUB_IN_ORDER,          /* events are given as soon as they are next */
    HUB_DISPUTED,          /* a number was announced twice */
} hub_standing;

/* Whether and when the outbox is asked about a topic (hub_want.h). */
typedef enum hub_query {
    HUB_NOT_ASKED,
    HUB_ASKED_WHEN_PLACED, /* it will be asked once the topic is placed */
    HUB_ASKED_SHORTLY,     /* it will be asked after a moment, in which announcements may come */
    HUB_ASKED_NEXT,        /* the next fetch will ask */
    HUB_ASKED,             /* the running fetch asks */
    HUB_ASKED_TOO_EARLY,   /* it asks, but may have looked too early: the next one will ask again */
} hub_query;

/* The place of a topic in hub->want. */
typedef struct hub_wish {
    leat_list link; /* in hub->want.next or .shortly (hub_query says which) */
    struct hub_topic *topic;
} hub_wish;

/* What waits until something that came before it is given. */
typedef struct hub_waiting {
    hub_pending pending; /* events beyond at.seq */
    hub_held held;       /* signals that came behind such events; none while it is unplaced */
} hub_waiting;

typedef struct hub_topic {
    leat_map_entry entry; /* in hub->topics; its key is name */
    leat_hub *hub;
    leat_position at;     /* what was given to the workers last: seq, or LEAT_HUB_UNKNOWN. epoch: of
                             all below; held, NULL while it is unknown */
    int64_t heard;        /* the highest seq that anything told of */
    int64_t announced;    /* the highest seq that was announced */
    uint64_t read_ms;     /* when a read, or the outbox, last saw the topic */
    hub_waiting *waiting; /* NULL: nothing has had to wait */
    struct hub_interest *interests; /* the first one */
    hub_wish *wish;                 /* NULL: it is in no list of hub->want */
    uint8_t standing;               /* a hub_standing */
    uint8_t query;                  /* a hub_query */
    bool lost; /* an announcement was lost, or may have been: the events that the outbox
                  brings count as repaired */
    char name[];
} hub_topic;

typedef enum hub_interest_state {
    HUB_INTEREST_UNARMED, /* ARMED was not said: the hub was not ready. Only resets are told */
    HUB_INTEREST_FOLLOWS, /* the worker is given the topic's events */
    HUB_INTEREST_BEHIND,  /* the line was full: it is given none before there is room, and of
                             conflating signals the newest then */
} hub_interest_state;

/* What an interest has whose worker is left behind. */
typedef struct hub_lag {
    leat_list link; /* in worker->lags */
    hub_topic *topic;
    struct hub_interest *interest;
    leat_latest *kept; /* conflating signals that it is still to be given; NULL: there are none */
} hub_lag;

/* One worker's interest in one topic. There may be very many, and few workers: so those of a topic
 * are a list in one direction, and a worker knows only those with which it is left behind. */
typedef struct hub_interest {
    struct hub_interest *next; /* of the topic */
    hub_worker *worker;
    uint64_t generation;
    hub_lag *lag;  /* HUB_INTEREST_BEHIND; else NULL */
    uint8_t state; /* a hub_interest_state */
} hub_interest;

/* The topics that the outbox is to be asked about. */
typedef struct hub_want {
    leat_list next;         /* hub_wish: HUB_ASKED_NEXT */
    leat_list shortly;      /* likewise: HUB_ASKED_SHORTLY */
    leat_deadline deadline; /* when those become HUB_ASKED_NEXT */
    leat_sweep start;       /* starts a fetch at the end of the turn (hub_repair.c) */
    bool probe;         /* the outbox is to be read even if no topic wants it (hub_want_probe) */
    uint64_t probed_ms; /* when hub_want_probe last asked for that; 0: never */
} hub_want;

typedef enum hub_fetch_state {
    HUB_FETCH_NONE,
    HUB_FETCH_RUNS,
    HUB_FETCH_WAITS, /* the last one failed: the next one starts when the back-off has passed */
} hub_fetch_state;

/* The reading of the outbox. */
typedef struct hub_repair {
    hub_fetch_state state;
    leat_history *fetch; /* HUB_FETCH_RUNS */
    leat_deadline retry; /* HUB_FETCH_WAITS */
    leat_backoff backoff;
    leat_log_series failures;
    leat_deadline compare; /* when all topics are compared with the outbox */
} hub_repair;

typedef enum hub_attend_state {
    HUB_ATTEND_RESTS,
    HUB_ATTEND_PLANNED,      /* leat_internal.attend is to be called when the deadline comes */
    HUB_ATTEND_CALLED,       /* it is being called */
    HUB_ATTEND_CALLED_EARLY, /* it is being called, and is to be called once more afterwards */
} hub_attend_state;

/* The calls of leat_internal.attend. */
typedef struct hub_attend {
    hub_attend_state state;
    leat_deadline deadline; /* HUB_ATTEND_PLANNED */
    leat_pg_job job;        /* HUB_ATTEND_CALLED, HUB_ATTEND_CALLED_EARLY */
    uint64_t called_ms;
    leat_backoff backoff;
    leat_log_series failures;
} hub_attend;

/* The calls of leat_internal.problems. */
typedef struct hub_problems {
    leat_deadline deadline;
    leat_pg_job job;
    leat_buf logged; /* the problems that were logged last, one behind the other */
} hub_problems;

struct leat_hub {
    const leat_limits *limits;
    leat_pg_pool_options pool_options;
    leat_pg_listener_options listener_options;
    leat_metrics *metrics;
    leat_loop *loop;
    leat_mailbox *mailbox;
    leat_pg_pool *pool;
    leat_broker *broker;
    hub_phase phase;
    hub_health health;
    leat_list workers; /* hub_worker by hub_link */
    leat_pool *memory; /* the loop's, for topics and interests */
    leat_map topics;   /* hub_topic by name */
    leat_map epochs;   /* of these topics */
    hub_anchors anchors;
    char timeline[9];    /* as leat_internal.attend said last; "": it was not called yet */
    char history[9];     /* likewise */
    char *fingerprint;   /* likewise; NULL before */
    int schema_version;  /* the newest one that this server knows */
    bool schema_too_new; /* the database has one that needs a newer server (hub_schema.h) */
    hub_want want;
    hub_repair repair;
    hub_attend attend;
    hub_problems problems;
    leat_deadline trim_deadline; /* the next batch of trimming */
    uint64_t trim_began_ms;      /* the last one */
    leat_trim trim;
};

#endif
