/* listener.h - a bare LISTEN on the channel "bench": how long NOTIFY itself takes.
 *
 * Ownership  the caller's struct, valid until listener_stop has returned.
 * Threads    a thread of its own receives; `took` may be read after listener_stop.
 * Units      nanoseconds.
 * Errors     any failure ends the program.
 */
#ifndef BENCH_LISTENER_H
#define BENCH_LISTENER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "common/histogram.h"

typedef struct listener {
    const char *database;
    histogram took;
    _Atomic bool stop;
    pthread_t thread;
    void *conn;
} listener;

/* Returns when notifications that are sent from now on will be received. */
void listener_start(listener *l);
void listener_stop(listener *l);

#endif
