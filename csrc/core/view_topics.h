/* view_topics.h - the topics of a worker, for an operator: the first ones in some order, or one.
 *
 * Ownership  rows are copies: they outlive the topics. leat_topic_rows_close frees them.
 * Threads    loop thread of the worker, but for leat_topic_rows_*: whoever has them.
 * Units      bytes; times a second; seq.
 * Errors     none.
 *
 * A walk is made in parts, so that many topics hold up the loop for a tenth of a millisecond at a
 * time.
 */
#ifndef LEAT_CORE_VIEW_TOPICS_H
#define LEAT_CORE_VIEW_TOPICS_H

#include <stdbool.h>

#include "base/buf.h"
#include "core/core.h"

typedef enum leat_topic_order {
    LEAT_TOPICS_BUSIEST,
    LEAT_TOPICS_LARGEST, /* ring */
    LEAT_TOPICS_MOST,    /* subscribers */
    LEAT_TOPIC_ORDERS,
} leat_topic_order;

typedef struct leat_topic_row {
    char *name; /* zero-terminated; a name has no control characters */
    char epoch[96];
    int64_t head; /* LEAT_RING_UNKNOWN: not read yet */
    size_t subscribers;
    size_t ring_events;
    size_t ring_bytes;
    double events_per_s;
} leat_topic_row;

/* The first rows in the order, the first one first. */
typedef struct leat_topic_rows {
    leat_topic_order order;
    size_t limit;
    size_t count;
    leat_topic_row **at; /* room for limit + 1 */
} leat_topic_rows;

void leat_topic_rows_init(leat_topic_rows *rows, leat_topic_order order, size_t limit);
/* Adds a copy, if the row is among the first ones. */
void leat_topic_rows_add(leat_topic_rows *rows, const leat_topic_row *row);
void leat_topic_rows_close(leat_topic_rows *rows);
/* NULL: there is none of that name. */
leat_topic_row *leat_topic_rows_find(const leat_topic_rows *rows, const char *name);

typedef struct leat_topic_walk {
    leat_topic_rows *rows;
    uint64_t place; /* 0 at first */
    size_t total;   /* topics that were met */
} leat_topic_walk;

/* One part. Returns false at the end. */
bool leat_view_topics(leat_core *core, leat_topic_walk *walk);

/* Adds the topic of that name, if there is one. */
void leat_view_topic_row(leat_core *core, const char *name, leat_topic_rows *rows);

/* Appends members of a JSON object, each with a comma before it: all about one topic. Nothing if
 * there is no such topic: then false. Of many subscribers it looks at LEAT_VIEW_SUBSCRIBERS. */
enum { LEAT_VIEW_SUBSCRIBERS = 5000, LEAT_VIEW_EVENTS = 10, LEAT_VIEW_DATA = 1024 };
bool leat_view_topic(leat_core *core, const char *name, leat_buf *json);

#endif
