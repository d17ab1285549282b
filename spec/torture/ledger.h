/* ledger.h - what was seen, by whom, and when; and the comparison with what Postgres committed.
 *
 * Ownership  one ledger, main.c's.
 * Threads    ledger_saw_*: main thread. ledger_check: main thread, when the writers have ended.
 * Units      nanoseconds; seq.
 * Errors     ledger_saw_* return NULL, or a static sentence that says what is wrong; ledger_check
 *            reports violations itself.
 *
 * Every client's view of a topic at seq s of one epoch is the same view. So the first sighting of
 * each event and of each state is kept, every further one is compared with it at once, and in the
 * end the first ones are compared with the database: that covers all.
 */
#ifndef TORTURE_LEDGER_H
#define TORTURE_LEDGER_H

#include "base/slice.h"
#include "torture.h"

/* A topic's items, added up. */
typedef struct summary {
    int64_t n;
    int64_t x;
} summary;

/* A point of one numbering of a topic. */
typedef struct place {
    int epoch; /* by ledger_epoch's count */
    int64_t seq;
} place;

ledger *ledger_new(torture *t);
void ledger_free(ledger *l);

/* The number of a topic's epoch, and back. */
int ledger_epoch(ledger *l, int topic, leat_slice epoch);
const char *ledger_epoch_name(const ledger *l, int topic, int epoch);

/* uid 0: a skip. */
const char *ledger_saw_event(ledger *l, int topic, place at, int64_t uid);
/* The hook read after the primary was lost, and the event's row with it: else it would be there. */
void ledger_saw_bereft(ledger *l, int topic, place at);
const char *ledger_saw_state(ledger *l, int topic, place at, summary state);
/* The same, by one who began with an empty snapshot of a watched table. TRUNCATE is not MVCC-safe:
 * a snapshot that was taken before sees the table empty. So only the truth can tell whether that is
 * right. */
void ledger_saw_emptied(ledger *l, int topic, place at, summary state);
/* That user has been shown the topic as far as that; how: a static word. */
void ledger_saw_by(ledger *l, int topic, int user, place at, const char *how);
/* A resync took a live subscription from one epoch to another. */
void ledger_saw_move(ledger *l, int topic, int from, int to);

/* Reads the truth: the committed log and the application's tables. */
void ledger_load(ledger *l);
/* Whether that is where the topic ends. */
bool ledger_at_end(const ledger *l, int topic, place at);
/* Whether nothing that is shown comes after it. */
bool ledger_shows_no_more(const ledger *l, int topic, place at);
/* Whether that user may see the topic. */
bool ledger_has_right(const ledger *l, int topic, int user);
void ledger_check(ledger *l);

#endif
