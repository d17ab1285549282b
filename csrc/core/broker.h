/* broker.h - what carries announcements: "topic T has event N".
 *
 * Ownership  a broker is owned by the hub; announcements are borrowed during the callback.
 * Threads    the hub's loop thread.
 * Units      seq counts from 1.
 * Errors     none reach the hub: a broker heals by itself and says when it was down. It may lose,
 *            repeat and reorder announcements; the hub repairs from the outbox.
 */
#ifndef LEAT_CORE_BROKER_H
#define LEAT_CORE_BROKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/metrics.h"
#include "base/slice.h"
#include "loop/loop.h"
#include "pg/pg_listener.h"

typedef enum leat_announcement_kind {
    LEAT_ANNOUNCE_EVENT,
    LEAT_ANNOUNCE_REVOKE,
    LEAT_ANNOUNCE_RESYNC, /* a fresh snapshot was asked for */
    LEAT_ANNOUNCE_SIGNAL,
    LEAT_ANNOUNCE_HISTORY, /* it is another one: of no topic, everything is to be compared */
} leat_announcement_kind;

typedef struct leat_announcement {
    leat_announcement_kind kind;
    leat_slice topic;
    leat_slice epoch; /* history and topic's epoch, without the timeline */
    int64_t seq;      /* 0: not stored */
    int64_t at;       /* when it was stored: microseconds since 1970 */
    leat_slice data;  /* JSON; at == NULL: did not fit, to be fetched */
} leat_announcement;

typedef struct leat_broker_handler {
    /* Announcements arrive from now on; earlier ones may be missing. timeline: 8 hexadecimal
     * digits. */
    void (*on_up)(void *arg, const char *timeline);
    void (*on_down)(void *arg);
    void (*on_announce)(void *arg, const leat_announcement *a);
} leat_broker_handler;

typedef struct leat_broker leat_broker;
struct leat_broker {
    /* No further callbacks; done runs when nothing of it is left, and the broker is then freed. */
    void (*close)(leat_broker *b, void (*done)(void *arg), void *arg);
};

#endif
