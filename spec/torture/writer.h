/* writer.h - those who write: transactions of every kind, and the one who gives and takes rights.
 *
 * Ownership  writers_new starts the threads, writers_join ends them; what they did stays readable.
 * Threads    each writer is a thread with a connection of its own, to the primary.
 * Units      nanoseconds.
 * Errors     a lost connection is made anew; what became of its transaction is then unknown.
 */
#ifndef TORTURE_WRITER_H
#define TORTURE_WRITER_H

#include <libpq-fe.h>

#include "torture.h"

typedef enum outcome {
    OUTCOME_OPEN,
    OUTCOME_COMMITTED,
    OUTCOME_ROLLED_BACK,
    OUTCOME_UNKNOWN
} outcome;

typedef struct deed {
    outcome outcome;   /* ROLLED_BACK also where a savepoint was */
    int topic;         /* NO_TOPIC: no event comes of it */
    uint64_t began_ns; /* before the transaction began */
    uint64_t acked_ns; /* after its commit was confirmed; UINT64_MAX otherwise */
} deed;

enum { TX_NAME = 64 };

/* From the transaction tx on, until a later one, user was no member. */
typedef struct revocation {
    char tx[TX_NAME];
    int topic;
    int user;
    uint64_t began_ns;    /* before the transaction began */
    uint64_t restored_ns; /* before the transaction began that restored it; UINT64_MAX: never */
} revocation;

writers *writers_new(torture *t);
void writers_join(writers *w);
void writers_free(writers *w);

/* NULL if no writer ever made that uid. */
const deed *writers_deed(const writers *w, int64_t uid);
int writers_of(int64_t uid); /* whose it is: 0, 1, 2 … */
/* Walks all deeds: first uid 0; returns the next uid, or 0. */
int64_t writers_next(const writers *w, int64_t uid);
const revocation *writers_revocations(const writers *w, size_t *n);

#endif
