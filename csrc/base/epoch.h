/* epoch.h - the names of numberings, each kept once a worker; and positions in them.
 *
 * Ownership  an epoch is counted by reference, and forgets itself with the last one. The worker's
 *            map of them outlives them all.
 * Threads    loop thread of the worker only.
 * Units      seq.
 * Errors     none.
 *
 * Two epochs are the same if and only if they are one object: `==` is the comparison.
 */
#ifndef LEAT_BASE_EPOCH_H
#define LEAT_BASE_EPOCH_H

#include <stddef.h>
#include <stdint.h>

#include "base/map.h"

typedef struct leat_epoch leat_epoch;

/* Where a topic stands, or a client in it, as one MVCC snapshot saw it. */
typedef struct leat_position {
    leat_epoch *epoch; /* borrowed, unless the struct's owner says otherwise; NULL: no position */
    int64_t seq;
    int64_t revoked; /* the topic's last revocation there (LEAT_NEVER_REVOKED) */
} leat_position;

/* The same with the epoch's name, for where epochs are no objects: in the outbox's answers, in
 * mail, and on the hub's thread. */
typedef struct leat_named_position {
    leat_slice epoch; /* borrowed, unless the struct's owner says otherwise */
    int64_t seq;
    int64_t revoked;
} leat_named_position;

/* The epoch with that name, made if need be; with a reference more. */
leat_epoch *leat_epoch_of(leat_map *epochs, leat_slice text);
leat_epoch *leat_epoch_ref(leat_epoch *e);
void leat_epoch_unref(leat_epoch *e); /* NULL is harmless */

/* Its name, as clients see it; absent for NULL. */
leat_slice leat_epoch_text(const leat_epoch *e);

#endif
