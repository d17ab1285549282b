/* crowd.h - all clients, on one epoll loop.
 *
 * Ownership  the caller's struct; crowd_open allocates, crowd_close frees and closes all
 * connections. Threads    the clients' thread. Units      nanoseconds, milliseconds where the name
 * says so. Errors     if nothing comes for CROWD_PATIENCE_S although something is awaited, the
 * program ends and says what is missing.
 */
#ifndef BENCH_CROWD_H
#define BENCH_CROWD_H

#include <stdbool.h>

#include "common/histogram.h"
#include "load/client.h"
#include "load/meter.h"
#include "load/plan.h"

enum {
    CROWD_BUFFER_BYTES = 4 << 20,
    CROWD_PATIENCE_S = 60,
};

typedef struct crowd {
    const plan *plan;
    meter *meter;
    int epoll;
    client *clients;
    int begun;
    int subscribed;        /* clients that have all their subscriptions */
    position since;        /* what clients that connect now resume from */
    position heard;        /* of the latest answer to a subscribe */
    uint64_t caught_up;    /* events that came before the meter was set, and answer a resume */
    uint64_t began_ns;     /* when the first one began to connect */
    histogram handshakes;  /* from a client's first connect to its last subscription's answer */
    histogram since_began; /* the same from began_ns */
    uint64_t now_ns;       /* when the loop last woke */
    channel_context *tls;  /* NULL: plain */
    char *buffer;
    struct epoll_event *ready;
} crowd;

void crowd_open(crowd *c, const plan *p, meter *m);
void crowd_close(crowd *c);

/* Connects and subscribes clients until there are n in all, at most at_once at a time. */
void crowd_connect(crowd *c, int n);

/* Reads what comes for so long. */
void crowd_idle(crowd *c, int ms);

/* Reads until is_done says so. It is asked after each turn of the loop. */
void crowd_until(crowd *c, bool (*is_done)(const crowd *c), const char *what);

/* For client.c. */
void crowd_on_answer(crowd *c, const char *text, size_t n);
void crowd_on_subscribed(crowd *c, client *one);
void crowd_on_event(crowd *c, const char *text, size_t n);

#endif
