/* run.h - several events in one block, for the many cursors that stand at the same place.
 *
 * Ownership  a leat_runs belongs to its topic, for the time of one fan-out. Whoever queues a run's
 *            block holds a reference of it.
 * Threads    loop thread only.
 * Units      seq; bytes.
 * Errors     none: where there is no run, a cursor takes its events one by one.
 *
 * What piles up for a client leaves as one piece of memory: the frames are copied once for all
 * clients, and a client costs as much as for one event. */
#ifndef LEAT_CORE_RUN_H
#define LEAT_CORE_RUN_H

#include <stddef.h>
#include <stdint.h>

#include "base/event.h"
#include "core/ring.h"
#include "wire/codec.h"

enum {
    LEAT_RUN_BYTES = 64 * 1024, /* of one run: a slow client may keep it for its last byte */
    LEAT_RUNS = 16,             /* of one fan-out */
};

typedef struct leat_run {
    const leat_codec *codec; /* as it was asked for */
    int64_t first;
    int64_t last;
    size_t longest;     /* the longest payload of its events */
    leat_event *joined; /* its frame is all of their frames, one behind the other; it is empty if
                           there is nothing to show */
} leat_run;

typedef struct leat_runs leat_runs;

leat_runs *leat_runs_new(leat_ring *ring);
void leat_runs_free(leat_runs *r); /* NULL is harmless */

/* The run that begins at seq, made if need be. Borrowed. codec: the protocol that encodes events of
 * its own; NULL: they are given as they are. Returns NULL if there are fewer than two events that
 * any cursor may pass without a further look, or if the fan-out has many runs. */
const leat_run *leat_runs_from(leat_runs *r, int64_t seq, const leat_codec *codec);

#endif
