/* read.h - one snapshot read: position, refresh and snapshot, all of one MVCC snapshot, with
 * retries and the fallback to the authorised row.
 *
 * Ownership  a read belongs to its starter until its callback ran or it was cancelled; the grant
 *            and the ring are borrowed until then. What the callback gets is borrowed during it.
 * Threads    loop thread only.
 * Units      absolute milliseconds; nanoseconds (_ns).
 * Errors     an outcome with a code, always, by the deadline.
 *
 * Each attempt is one REPEATABLE READ READ ONLY transaction on one connection. A re-read (refresh)
 * that fails, for whatever reason, is given up: the next attempt composes the snapshot from the row
 * already in hand, and the outcome says stale. A snapshot that fails is tried again with back-off.
 *
 * A snapshot that reads nothing needs no transaction. It is good at every position. So the first
 * one of a client gets that of the ring's head, as a client does that resumes there. A later one
 * could take the client back like that: the ring may have begun anew since, behind what the client
 * has. For that, and if the ring does not know where the topic stands, the position alone is read.
 */
#ifndef LEAT_CORE_READ_H
#define LEAT_CORE_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/failure.h"
#include "core/core.h"
#include "core/ring.h"
#include "core/script.h"
#include "core/snapshot.h"

typedef struct leat_read leat_read;

typedef enum leat_read_need {
    LEAT_READ_FIRST,  /* for a client that has no snapshot of the topic */
    LEAT_READ_SHARED, /* for such a client, and for others that join */
    LEAT_READ_LATER,
    LEAT_READ_FRESH, /* what a stale snapshot is to be replaced by: a failing refresh fails the read
                      */
} leat_read_need;

typedef struct leat_read_outcome {
    leat_failure failure;   /* read_failed: it was no decision */
    leat_snapshot snapshot; /* LEAT_CODE_OK */
    uint64_t queued_ns;     /* how long it waited for connections, and the handlers for turns */
} leat_read_outcome;

/* The read is finished; a commit of its transaction may go on behind it. */
typedef void (*leat_read_cb)(leat_read *r, const leat_read_outcome *outcome, void *arg);

/* ring: of the topic. cb runs once, never from inside this call. */
leat_read *leat_read_start(const leat_ring *ring, leat_grant *grant, leat_read_need need,
                           uint64_t deadline_ms, leat_read_cb cb, void *arg);
void leat_read_cancel(leat_read *r);

#endif
