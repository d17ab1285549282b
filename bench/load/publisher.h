/* publisher.h - a thread that publishes events, at a rate or as fast as a window allows.
 *
 * Ownership  the caller's struct, valid until publisher_join has returned.
 * Threads    started and joined by the clients' thread; `sent` may be read by any.
 * Units      nanoseconds.
 * Errors     any failure ends the program.
 */
#ifndef BENCH_PUBLISHER_H
#define BENCH_PUBLISHER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "load/driver.h"
#include "load/meter.h"
#include "load/plan.h"

typedef struct publisher {
    const plan *plan;
    meter *meter; /* tells how many events have arrived everywhere: the window */
    int events;
    _Atomic int sent;
    uint64_t took_ns; /* from the first to the last; valid after the join */
    uint64_t late_ns; /* the most that a batch was behind its time */
    pthread_t thread;
} publisher;

/* Publishes p->events events. */
void publisher_start(publisher *p);
void publisher_join(publisher *p);

#endif
