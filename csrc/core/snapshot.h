/* snapshot.h - a topic's state as one read has made it.
 *
 * Ownership  the position's epoch and the JSON are borrowed, unless the owner says otherwise.
 * Threads    loop thread only.
 * Units      seq.
 * Errors     none.
 */
#ifndef LEAT_CORE_SNAPSHOT_H
#define LEAT_CORE_SNAPSHOT_H

#include <stdbool.h>

#include "base/epoch.h"
#include "base/slice.h"

typedef struct leat_snapshot {
    leat_position position; /* where the topic stood */
    bool stale;             /* made from the authorised row: that could not be read again */
    leat_slice json;
} leat_snapshot;

#endif
