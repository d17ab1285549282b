/* ledger.h - what was seen, by whom, and when; and the comparison with what Postgres committed.
 *
 * Ownership  one ledger, main.c's.
 * Threads    ledger_saw_*: main thread. ledger_check: main thread, when the writers have ended.
 * Units      nanoseconds; seq.
 * Errors     ledger_saw_* return NULL, or a static sentence that says what is wrong;
 *            ledger_check reports violations itself.
 *
 * Every client's view of a topic at seq s is the same view. So the first sighting of each event and
 * of each state is kept, every further one is compared with it at once, and in the end the first
 * ones are compared with the database: that covers all.
 */
#ifndef TORTURE_LEDGER_H
#define TORTURE_LEDGER_H

#include "torture.h"

/* A topic's items, added up. */
typedef struct summary {
    int64_t n;
    int64_t x;
} summary;

ledger *ledger_new(torture *t);
void ledger_free(ledger *l);

/* uid 0: a skip. */
const char *ledger_saw_event(ledger *l, int topic, int64_t seq, int64_t uid);
const char *ledger_saw_state(ledger *l, int topic, int64_t seq, summary state);
/* That user has been shown the topic as far as seq; how: a static word. */
void ledger_saw_by(ledger *l, int topic, int user, int64_t seq, const char *how);

/* Reads the truth: the committed log and the application's tables. */
void ledger_load(ledger *l);
/* Where the topic ends. */
int64_t ledger_head(const ledger *l, int topic);
void ledger_check(ledger *l);

#endif
