/* share.h - one snapshot read for all who ask for the same key at the same time, and after them.
 *
 * Ownership  shares belong to their topic; a leat_share_wait is embedded in its owner.
 * Threads    loop thread only.
 * Units      absolute milliseconds.
 * Errors     as leat_read; a failure concerns only the waiter whose grant the read used: the next
 *            one leads then.
 *
 * A finished snapshot at seq s is good for everyone as long as the topic's ring holds s+1 and on:
 * the cursor starts there.
 */
#ifndef LEAT_CORE_SHARE_H
#define LEAT_CORE_SHARE_H

#include "core/read.h"
#include "core/topic.h"

typedef struct leat_share leat_share;
typedef struct leat_share_wait leat_share_wait;

typedef void (*leat_share_cb)(leat_share_wait *w, const leat_read_outcome *outcome);

struct leat_share_wait {
    leat_list link;
    leat_share *share; /* NULL: not waiting */
    leat_grant *grant;
    int64_t least_seq; /* an older snapshot is of no use to it */
    uint64_t deadline_ms;
    leat_share_cb cb;
    void *data; /* the owner's */
};

/* Joins the share of grant->share on t, for a snapshot at least_seq or later (of the numbering that
 * is read). cb runs once, never from inside this call. */
void leat_share_join(leat_share_wait *w, leat_topic *t, leat_grant *grant, int64_t least_seq,
                     uint64_t deadline_ms, leat_share_cb cb);
/* Harmless if not waiting. */
void leat_share_leave(leat_share_wait *w);

/* What was read is not good any more: the ring restarts. renumbered: nor is what is being read,
 * which may be of the old numbering and older than what those who join have seen of it. */
void leat_share_forget_all(leat_topic *t, bool renumbered);
/* Nobody waits any more. */
void leat_share_free_all(leat_topic *t);

#endif
