/* truth.h - what Postgres committed: each topic's log, over all its numberings.
 *
 * Ownership  truth_load reads it anew; truth_close frees it.
 * Threads    main thread.
 * Units      seq; an entry's place in the log, which counts on over all epochs, is an index.
 * Errors     a log that is not whole is a violation; one that cannot be read ends the test.
 *
 * An epoch as clients are told it is the cluster's timeline and the name of one numbering
 * ("00000001-0f…"). A reset makes a new numbering; the items stay, so what an entry adds up to
 * counts on, too.
 */
#ifndef TORTURE_TRUTH_H
#define TORTURE_TRUTH_H

#include "ledger.h"
#include "writer.h"

enum { NAME_SIZE = 40 };

typedef struct entry {
    int64_t uid; /* 0: a revocation, or a numbering's beginning; negative: that write's row went */
    int64_t seq;
    summary state; /* after it */
    bool emptied;  /* a truncation: the rows are gone */
    int span;      /* that it belongs to */
    uint32_t timeline;
    char tx[TX_NAME];
} entry;

/* One numbering of a topic. */
typedef struct span {
    char name[NAME_SIZE];
    uint32_t timeline; /* on which it began */
    int64_t first;     /* the seq that it began with */
    int64_t before;    /* the index of the entry whose state that is */
    int64_t head;      /* its last seq */
    int64_t kept; /* the last seq that the first restore in it left; INT64_MAX: there was none */
} span;

typedef struct history {
    entry *log; /* from index 1 on; index 0 is the topic without items */
    int64_t n;
    span *spans;
    int n_spans;
} history;

typedef struct truth {
    uint32_t timeline; /* the cluster's now */
    history topics[TOPICS];
    bool member[TOPICS][USERS];
} truth;

void truth_load(truth *x, torture *t, PGconn *conn);
void truth_close(truth *x);

/* Splits an epoch as clients are told it; false if it is not one. */
bool truth_split(const char *epoch, uint32_t *timeline, const char **name);
/* The index of the numbering with that name; -1: the topic never had it. */
int truth_span(const history *h, const char *name);
/* The entry at that seq of a numbering. */
const entry *truth_entry(const history *h, int which, int64_t seq);
/* How far a numbering had come when that timeline ended (the present one: now). */
int64_t truth_head_on(const history *h, int which, uint32_t timeline);

#endif
