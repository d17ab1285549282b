/* ledger_private.h - what ledger.c and ledger_check.c share.
 *
 * Ownership  a ledger owns its books and the truth.
 * Threads    main thread.
 * Units      none.
 * Errors     none.
 */
#ifndef TORTURE_LEDGER_PRIVATE_H
#define TORTURE_LEDGER_PRIVATE_H

#include "book.h"
#include "ledger.h"
#include "truth.h"

typedef struct move {
    int from, to;
} move;

typedef struct shelf { /* of one topic */
    book *books;       /* by epoch */
    int n;
    move *moves;
    int n_moves;
} shelf;

struct ledger {
    torture *torture;
    shelf shelves[TOPICS];
    truth truth;
    bool *logged[MAX_WRITERS + 1]; /* of each writer's deeds, by running number */
};

#endif
