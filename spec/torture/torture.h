/* torture.h - what the parts of the torture test share.
 *
 * Ownership  main.c owns the torture struct and everything in it, and outlives all parts.
 * Threads    subscribers and proxy run on the main thread's loop; each writer, the revoker and the
 *            fault-thrower have a thread of their own. What they share is atomic, or says whose it
 *            is.
 * Units      times are uv_hrtime's nanoseconds; durations milliseconds.
 * Errors     what breaks a promise goes to torture_violation; what makes testing impossible ends
 *            the process (torture_die).
 */
#ifndef TORTURE_H
#define TORTURE_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

enum {
    USERS = 8,
    OUTSIDER = USERS - 1, /* never a member of anything */
    MAX_WRITERS = 64,
    NODES = 2, /* of Postgres */
    PLAIN_TOPICS = 6,
    SHARE_TOPICS = 4,
    HOOK_TOPICS = 2,
    LEASE_TOPICS = 2,
    ROOM_TOPICS = 4,
    CLUB_TOPICS = 4,
    WATCH_TOPICS = 3,
    TOPICS = PLAIN_TOPICS + SHARE_TOPICS + HOOK_TOPICS + LEASE_TOPICS + ROOM_TOPICS + CLUB_TOPICS +
             WATCH_TOPICS,
    NO_TOPIC = -1,
    FIRST_HOOK = PLAIN_TOPICS + SHARE_TOPICS,
    FIRST_LEASE = FIRST_HOOK + HOOK_TOPICS,
    FIRST_MEMBERS = FIRST_LEASE + LEASE_TOPICS, /* rooms and clubs have members */
    FIRST_CLUB = FIRST_MEMBERS + ROOM_TOPICS,
    FIRST_WATCH = FIRST_CLUB + CLUB_TOPICS, /* rows of a watched table: watch:N those of shelf N */
};

typedef enum fault_kind {
    FAULT_LISTENER,  /* the listening backend is terminated */
    FAULT_POOL,      /* some of the pool's backends are */
    FAULT_FAST,      /* Postgres restarts, -m fast */
    FAULT_IMMEDIATE, /* Postgres restarts, -m immediate: a crash and its recovery */
    FAULT_STALL,     /* Postgres' processes stop for a while */
    FAULT_CUT,       /* clients vanish by RST */
    FAULT_SLOW,      /* clients do not read for a while */
    FAULT_RELOAD,    /* SIGHUP */
    FAULT_DRAIN,     /* SIGTERM, while a new server takes over */
    FAULT_CRASH,     /* SIGKILL, and a new server */
    FAULT_DROP,      /* announcements are lost */
    FAULT_DOUBLE,    /* announcements come twice */
    FAULT_REORDER,   /* announcements are late, and out of order */
    FAULT_RESET,     /* a topic is deleted, so that its numbering begins anew; or the like */
    FAULT_FAILOVER,  /* the primary ends, and a standby is promoted */
    FAULT_RESTORE,   /* a backup is put in Postgres' place, on the same timeline */
    FAULT_COUNT
} fault_kind;

extern const char *const fault_names[FAULT_COUNT];

typedef enum count {
    COUNT_TRANSACTIONS,
    COUNT_ROLLBACKS,
    COUNT_UNKNOWN, /* the connection went during COMMIT */
    COUNT_PUBLISHED,
    COUNT_LARGE,
    COUNT_REVOKES,
    COUNT_LAPSES, /* rights taken without a word: they end when they expire */
    COUNT_RESETS,
    COUNT_TRUNCATES,
    COUNT_EMPTIED,    /* states that a truncation emptied before its time */
    COUNT_ROWS,       /* written to the watched table */
    COUNT_LOST,       /* events confirmed, and lost with a primary */
    COUNT_LOST_SHOWN, /* of what was lost, what clients had been shown */
    COUNT_CONNECTS,
    COUNT_STREAMS,  /* of them, of stream routes */
    COUNT_SSE,      /* of those, as Server-Sent Events */
    COUNT_SESSIONS, /* subscribes sent */
    COUNT_OUTDATED, /* of them, with a position of an epoch that is over */
    COUNT_SNAPSHOTS,
    COUNT_STALE,
    COUNT_RESUMED,
    COUNT_RESYNCS,
    COUNT_REFUSED,
    COUNT_FAILED, /* unavailable, deadline_exceeded, internal: Leat could not read */
    COUNT_UNSUBSCRIBES,
    COUNT_EVENTS,
    COUNT_SKIPS,
    COUNT_SIGNALS,
    COUNT_CLOSED,
    COUNT_RENEWALS,
    COUNT_RSTS,
    COUNT_GOING_AWAY,
    COUNT_TOO_SLOW,
    COUNT_PAUSES,
    COUNT_DROPPED,
    COUNT_DOUBLED,
    COUNT_REORDERED,
    COUNT_SDK_CONNECTS, /* and so on: what applications of an SDK were told */
    COUNT_SDK_SNAPSHOTS,
    COUNT_SDK_STALE,
    COUNT_SDK_RECOVERED,
    COUNT_SDK_RESYNCS,
    COUNT_SDK_EVENTS,
    COUNT_SDK_SIGNALS,
    COUNT_SDK_REFUSED,
    COUNT_SDK_ERRORS,
    COUNT_COUNT
} count;

typedef struct node {
    const char *socket_dir; /* of Postgres */
    const char *data_dir;
    char proxy_dir[200]; /* where leat finds the proxy's socket */
} node;

typedef struct torture_options {
    uint64_t seed;
    unsigned seconds;
    unsigned clients;
    unsigned writers;
    unsigned settle_seconds;
    bool faults[FAULT_COUNT];
    bool stop_at_first; /* a broken build: one violation is enough */
    const char *leat;   /* the binary */
    const char *app;
    node nodes[NODES];        /* the second one is used if there are to be failovers */
    const char *proxy_dir;    /* for the nodes' */
    const char *pg_ctl;       /* a command, to which a folder and what to do are added */
    const char *make_standby; /* the primary's socket folder, and data and socket folder */
    const char *restore;      /* "backup" or "put", and socket, data and backup folder */
    const char *sdk;          /* the command that runs clients of an SDK; NULL: there are none */
    unsigned sdk_clients;
    const char *work; /* logs */
    const char *database;
} torture_options;

typedef struct cluster cluster;
typedef struct ledger ledger;
typedef struct proxy proxy;
typedef struct server server;
typedef struct clients clients;
typedef struct faults faults;
typedef struct writers writers;

typedef struct torture {
    torture_options options;
    uv_loop_t loop;
    cluster *cluster;
    ledger *ledger;
    proxy *proxy;
    server *server;
    clients *clients;
    faults *faults;
    writers *writers;
    uint64_t began_ns;
    atomic_bool flood;    /* some clients do not read: the next writer is to write a lot */
    atomic_int reset;     /* the next writer is to reset that topic, if it is one */
    atomic_bool stopping; /* writers and fault-thrower are to come to an end */
    _Atomic uint64_t counts[COUNT_COUNT];
    _Atomic unsigned violations;
    uv_mutex_t print; /* one violation at a time */
} torture;

void torture_violation(torture *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
_Noreturn void torture_die(const char *format, ...) __attribute__((format(printf, 1, 2)));
double torture_seconds(const torture *t); /* since the beginning */

static inline void torture_count(torture *t, count c)
{
    atomic_fetch_add_explicit(&t->counts[c], 1, memory_order_relaxed);
}

/* Of one topic: its name ("room:2"), and whether that account may ever see it. */
const char *topic_name(int topic);
static inline bool topic_has_members(int topic)
{
    return topic >= FIRST_MEMBERS && topic < FIRST_WATCH;
}
static inline bool topic_has_hook(int topic)
{
    return topic >= FIRST_HOOK && topic < FIRST_LEASE;
}
/* Rights to it are given for a few seconds at a time. */
static inline bool topic_expires(int topic)
{
    return topic >= FIRST_LEASE && topic < FIRST_CLUB;
}
static inline bool topic_is_watched(int topic)
{
    return topic >= FIRST_WATCH;
}
static inline bool topic_may_refuse(int topic)
{
    return topic_has_members(topic) || topic_expires(topic);
}

/* splitmix64: small, and the same everywhere. */
static inline uint64_t mix64(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

typedef struct dice {
    uint64_t state;
} dice;

static inline dice dice_of(uint64_t seed, uint64_t whose)
{
    return (dice){mix64(seed ^ mix64(whose))};
}

static inline unsigned roll(dice *d, unsigned sides)
{
    d->state += UINT64_C(0x9e3779b97f4a7c15);
    return (unsigned)((mix64(d->state) >> 16) % sides);
}

static inline unsigned roll_between(dice *d, unsigned least, unsigned most)
{
    return least + roll(d, most - least + 1);
}

static inline bool chance(dice *d, unsigned percent)
{
    return roll(d, 100) < percent;
}

/* What an event with that uid adds to the summary. Below 2^53, for clients in JavaScript. */
static inline int64_t hash_of(int64_t uid)
{
    return (int64_t)(mix64((uint64_t)uid) >> 11);
}

#endif
