/* driver.h - the ways in which an event reaches a server: SQL, a pipe, HTTP, NATS.
 *
 * Ownership  open returns owned, close frees.
 * Threads    the publisher's thread.
 * Units      lengths in bytes.
 * Errors     any failure ends the program with a sentence.
 */
#ifndef BENCH_DRIVER_H
#define BENCH_DRIVER_H

#include <stddef.h>

#include "load/plan.h"

enum {
    MESSAGE_DATA_BYTES = 8000,
};

typedef struct message {
    char topic[PLAN_TOPIC_BYTES];
    char *data; /* JSON, one line */
    size_t length;
} message;

typedef struct driver {
    const char *name;
    void *(*open)(const plan *p);
    /* Returns when the server (or, of SQL, Postgres) has taken them. SQL: one transaction. */
    void (*send)(void *self, const message *messages, int n);
    void (*close)(void *self);
} driver;

/* Returns NULL for an unknown name. */
const driver *driver_find(const char *name);

extern const driver driver_sql;        /* select leat.publish(…) */
extern const driver driver_notify;     /* select pg_notify('bench', …): for raw and rawbatch */
extern const driver driver_both;       /* both in one transaction */
extern const driver driver_pipe;       /* a line "TOPIC DATA" in a named pipe */
extern const driver driver_http;       /* POST /pub/TOPIC, as nchan wants it */
extern const driver driver_centrifugo; /* POST /api/publish */
extern const driver driver_nats;

#endif
