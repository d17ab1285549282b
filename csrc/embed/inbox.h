/* inbox.h - what waits for the program: a queue that many threads fill and one empties, with a
 * descriptor that is readable while something waits.
 *
 * Ownership  an item is embedded in an allocation of its sender, which belongs to the inbox from
 *            inbox_put on. `run` takes it over; once the inbox is shut, `drop` does instead.
 * Threads    _put, _shut: any. _run: one at a time. _open, _close: when no other thread uses it.
 * Units      milliseconds.
 * Errors     _open returns negative numbers (UV_E*).
 */
#ifndef LEAT_EMBED_INBOX_H
#define LEAT_EMBED_INBOX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/list.h"

typedef struct inbox_item inbox_item;
struct inbox_item {
    leat_list link_;
    void (*run)(inbox_item *item);  /* calls the program */
    void (*drop)(inbox_item *item); /* frees it without a call */
};

typedef struct inbox {
    pthread_mutex_t lock_;
    leat_list items_;
    atomic_bool shut_;
    int fd;
} inbox;

LEAT_MUST_CHECK int inbox_open(inbox *b);
/* Drops what is left. */
void inbox_close(inbox *b);

void inbox_put(inbox *b, inbox_item *item);
/* Items are dropped from now on, even those of an inbox_run that is under way, but for the one that
 * runs at this moment; a waiting inbox_run returns. */
void inbox_shut(inbox *b);
bool inbox_is_shut(inbox *b);
/* Undoes it. */
void inbox_reopen(inbox *b);

/* Waits for an item for timeout_ms at most (-1: without end), then runs all that are there now.
 * Returns how many. */
int inbox_run(inbox *b, int timeout_ms);

#endif
