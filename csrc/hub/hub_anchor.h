/* hub_anchor.h - entries of the log that this server knows of. leat_internal.attend compares them
 * with the database, to see whether it still has the history that clients have seen.
 *
 * Ownership  plain values, embedded in the hub.
 * Threads    the hub's.
 * Units      seq counts from 1; at: microseconds since 1970, 0 if not known.
 * Errors     none.
 */
#ifndef LEAT_HUB_HUB_ANCHOR_H
#define LEAT_HUB_HUB_ANCHOR_H

#include "base/buf.h"
#include "base/epoch.h"
#include "wire/announcement.h"
#include "wire/leat_v1.h"

typedef struct hub_anchor {
    char topic[LEAT_TOPIC_MAX];
    size_t topic_len; /* 0: no entry */
    char epoch[32];   /* without the timeline */
    size_t epoch_len;
    int64_t seq;
    int64_t at; /* when the entry was made; 0 if a read saw the topic there */
} hub_anchor;

enum { HUB_ANCHORS = 16 };

typedef struct hub_anchors {
    hub_anchor newest; /* of those that were announced, or told by leat_internal.attend */
    hub_anchor others[HUB_ANCHORS]; /* the latest ones that became known in another way */
    size_t next;                    /* index of the one that is overwritten next */
} hub_anchors;

/* An entry was announced. */
void hub_anchor_announced(hub_anchors *a, const leat_announcement *heard);
/* An entry was read from the outbox, or a worker's read saw the topic there (entered_at 0). */
void hub_anchor_read(hub_anchors *a, leat_slice topic, const leat_named_position *at,
                     int64_t entered_at);
void hub_anchor_clear(hub_anchors *a);
/* Appends all of them, as leat_internal.attend takes them. */
void hub_anchor_write(const hub_anchors *a, leat_buf *json);

#endif
