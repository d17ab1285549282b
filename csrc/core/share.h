/* share.h - snapshots: one read for all that ask for the same key at the same time, or soon after.
 *
 * Ownership  leat_shares is embedded in its topic; a leat_share_wait is embedded in its owner. The
 *            grant is borrowed while it waits.
 * Threads    loop thread only.
 * Units      absolute milliseconds.
 * Errors     as leat_read, by the deadline. A failure concerns only the waiter whose grant the
 *            read used: the next one leads then.
 *
 * A snapshot that is its viewer's own (a grant without a key), or that accepts no fallback, is read
 * for its waiter alone.
 *
 * A finished snapshot at seq s is good for every waiter as long as the topic's ring holds s+1 and
 * on: the cursor starts there. */
#ifndef LEAT_CORE_SHARE_H
#define LEAT_CORE_SHARE_H

#include "core/read.h"
#include "core/ring.h"

typedef struct leat_share leat_share;
typedef struct leat_share_wait leat_share_wait;

/* The shares of one topic. */
typedef struct leat_shares {
    leat_list all_; /* leat_share, least recently used first */
    const leat_ring *ring;
} leat_shares;

void leat_shares_init(leat_shares *shares, const leat_ring *ring);
/* No waiter is left. */
void leat_shares_close(leat_shares *shares);
/* The ring restarts: snapshots at hand are forgotten. renumbered: reads that run begin anew, too.
 * They may be of the old numbering, and older than what a client that joins has seen of it. */
void leat_shares_restart(leat_shares *shares, bool renumbered);

typedef void (*leat_share_cb)(leat_share_wait *w, const leat_read_outcome *outcome);

/* What a waiter needs. */
typedef struct leat_share_ask {
    leat_grant *grant;
    int64_t least_seq; /* an older snapshot of the topic's numbering is of no use */
    leat_read_need need;
    uint64_t deadline_ms;
} leat_share_ask;

struct leat_share_wait {
    void *data;        /* the owner's */
    int64_t least_seq; /* as asked; the owner may lower it */
    /* private */
    leat_list link_;
    leat_share *share_; /* NULL: it waits for none */
    leat_read *own_;    /* NULL: it reads nothing for itself */
    leat_grant *grant_;
    leat_read_need need_;
    leat_core *core_;
    uint64_t deadline_ms_;
    leat_deadline deadline_; /* of a wait for a share */
    leat_share_cb cb_;
};

void leat_share_wait_init(leat_share_wait *w);

/* True if what the ask wants may be read for others, too. */
bool leat_share_is_for_all(const leat_share_ask *ask);
/* Wait for a snapshot of the topic: a shared one, or one for this waiter alone. cb runs once, never
 * from inside these calls. */
void leat_share_join(leat_share_wait *w, leat_shares *shares, const leat_share_ask *ask,
                     leat_share_cb cb);
void leat_share_alone(leat_share_wait *w, const leat_ring *ring, const leat_share_ask *ask,
                      leat_share_cb cb);
/* Harmless if not waiting. */
void leat_share_leave(leat_share_wait *w);

#endif
