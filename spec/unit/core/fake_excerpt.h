/* fake_excerpt.h - an outbox that answers a client's history when the test says so.
 *
 * Ownership  the code under test owns a read; what it answers is the test's.
 * Threads    the test's.
 * Units      as in excerpt.h.
 * Errors     fail the test.
 */
#ifndef LEAT_SPEC_FAKE_EXCERPT_H
#define LEAT_SPEC_FAKE_EXCERPT_H

#include "outbox/excerpt.h"

struct leat_excerpt {
    leat_excerpt_ask ask;
    char topic[32];
    uint64_t deadline_ms;
    leat_excerpt_cb cb;
    void *arg;
    leat_named_position head;
    bool leads_on;
    const leat_excerpt_event *events;
};

/* The read that was started last; NULL if it was answered or cancelled. */
const leat_excerpt *fake_excerpt(void);
/* What it has found. */
void fake_excerpt_answer(leat_named_position head, bool leads_on, const leat_excerpt_event *events,
                         size_t n);
void fake_excerpt_fail(int err);

#endif
