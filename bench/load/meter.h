/* meter.h - what arrives: how many deliveries, and how long each took.
 *
 * Ownership  the caller's struct; meter_expect allocates its arrays.
 * Threads    the clients' thread, but `completed`, which the publisher's thread reads.
 * Units      nanoseconds.
 * Errors     an event without its number and time ends the program.
 */
#ifndef BENCH_METER_H
#define BENCH_METER_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "common/histogram.h"

typedef struct meter {
    int n_events;
    uint64_t expected; /* deliveries */
    uint64_t delivered;
    uint64_t bytes;             /* of the deliveries' text */
    uint64_t last_at;           /* when the latest one came */
    _Atomic uint64_t completed; /* events that all their subscribers have */
    uint32_t *missing;          /* of each event, the subscribers that do not have it yet */
    uint32_t *wanted;           /* of each event, its subscribers */
    histogram each;             /* of every delivery */
    histogram first;            /* of each event's first delivery */
    histogram last;             /* of each event's last one */
} meter;

/* From now on n_events are awaited; event i by subscribers_of_event[i] clients. */
void meter_expect(meter *m, int n_events, const uint32_t *subscribers_of_event);

/* An event has come at now_ns. Its text holds "n": its number, and "t": when it set out. */
void meter_event(meter *m, const char *text, size_t length, uint64_t now_ns);

/* Finds "t": in a text. Returns 0 if it is not there. */
uint64_t meter_sent_at(const char *text, size_t length);

#endif
