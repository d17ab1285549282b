/* core.h - what the parts of one worker's core share.
 *
 * Ownership  a leat_core belongs to its worker, which fills in what it borrows and outlives it.
 * Threads    loop thread of the worker only.
 * Units      as the parts say.
 * Errors     none.
 */
#ifndef LEAT_CORE_CORE_H
#define LEAT_CORE_CORE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/epoch.h"
#include "base/gate.h"
#include "base/latest.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/log_series.h"
#include "base/map.h"
#include "base/metrics.h"
#include "core/account.h"
#include "core/last_errors.h"
#include "core/script.h"
#include "core/slot.h"
#include "fetch/key_store.h"
#include "loop/loop.h"
#include "mail/hub_link.h"
#include "net/net.h"
#include "outbox/positions.h"
#include "pg/pg_pool.h"

struct leat_ring;

typedef struct leat_core {
    /* Set by the worker before leat_core_start. */
    leat_loop *loop;
    leat_metrics *metrics;
    leat_pg_pool *pool;
    leat_mailbox *hub; /* the hub's mailbox */
    const leat_limits *limits;
    leat_key_store *keys; /* of URLs; NULL: none can be fetched */
    leat_net net;         /* its `deflate`; leat_core_start fills in the rest */
    size_t
        max_client_bytes;  /* what all clients may make the server hold; 0: as much as they like */
    size_t max_ring_bytes; /* of all topics; 0: no bound, which only tests use */
    leat_gate *gate;       /* where a test stops the worker; NULL: nowhere */
    leat_script *script;   /* the current scripts; replaced through leat_core_set_script */
    struct leat_native *native; /* handlers of an embedding program; NULL: there are none */

    /* The core's own. */
    leat_hub_link *link;
    leat_positions *positions;                 /* of snapshots that read nothing else */
    const struct leat_cursor_handler *cursors; /* what the owners of cursors do (topic.h) */
    /* The ring's topic has another numbering than before. Called from inside the functions of a
     * ring that take a position. */
    void (*renumbered)(struct leat_ring *r);
    leat_map topics;                /* leat_topic by name */
    leat_map epochs;                /* every epoch that is in use in this worker (epoch.h) */
    leat_account_set accounts;      /* users and tenants who have clients here */
    leat_list rings;                /* those that hold events, by when the last one came */
    size_t ring_bytes;              /* what they hold */
    leat_latest_store kept_signals; /* what topics keep of them */
    leat_list clients;              /* every leat_client */
    leat_deadline round;            /* the next look at some of them (client_round.h) */
    leat_list holders;              /* connections that are no clients (client_round.h) */
    leat_list orphans;              /* requests that run on although their client has gone */
    size_t n_clients;
    size_t n_handshakes;  /* under way (admission.h) */
    uint64_t last_client; /* the last number given to a session's client */
    uint64_t mark; /* at random: part of its clients' names, which so are unique everywhere */
    uint64_t generations; /* the last number given to a topic's life */
    uint64_t numberings;  /* the last number given to a numbering (ring.h) */
    char history[64]; /* what the epochs of positions begin with, up to the last "-"; "" before the
                         first */
    uint64_t histories;           /* how often `history` has changed */
    leat_last_errors last_errors; /* of the scripts */
    leat_log_series unread;       /* positions that could not be read */
    leat_slots slots;             /* for subscriptions that ask the database for their own sake */
    bool confirmed;               /* the hub's last word is LEAT_HUB_CONFIRMED */
    bool draining;
    void (*on_empty)(void *arg); /* the last client is gone, while draining */
    void *on_empty_arg;
} leat_core;

/* A client or an orphan is gone: the drain may be over. */
void leat_core_check_empty(leat_core *core);

/* A position of that epoch was read or told. If its history is another one than before, `histories`
 * is counted up. */
void leat_core_note_history(leat_core *core, const leat_epoch *epoch);

#endif
