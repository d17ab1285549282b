/* book.h - one numbering of one topic, as clients were shown it.
 *
 * Ownership  the ledger's, one for each epoch that a client was told.
 * Threads    main thread.
 * Units      nanoseconds; seq.
 * Errors     book_saw_* return NULL, or a static sentence that says what is wrong.
 */
#ifndef TORTURE_BOOK_H
#define TORTURE_BOOK_H

#include "ledger.h"

enum { EPOCH_SIZE = 64, NOTHING_YET = -1 };

typedef struct sighting {
    int64_t uid; /* NOTHING_YET: not seen; 0: a skip */
    summary state;
    summary emptied; /* likewise, of those who began with an empty snapshot of a watched table */
    bool has_state;
    bool has_emptied;
    bool emptied_differ;
    bool bereft; /* the hook that told of it found no row */
} sighting;

typedef struct showing {
    uint64_t at_ns; /* 0: never */
    const char *how;
} showing;

typedef struct book {
    char epoch[EPOCH_SIZE]; /* as clients are told it */
    sighting *seen;         /* by seq */
    int64_t n_seen;
    showing *by[USERS]; /* by seq: when that user was first shown it */
    int64_t n_by[USERS];
} book;

void book_init(book *b, leat_slice epoch);
void book_close(book *b);

const char *book_saw_event(book *b, int64_t seq, int64_t uid);
const char *book_saw_state(book *b, int64_t seq, summary state);
void book_saw_emptied(book *b, int64_t seq, summary state);
void book_saw_by(book *b, int64_t seq, int user, const char *how);

#endif
