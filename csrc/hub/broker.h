/* broker.h - what carries announcements: "topic T has event N".
 *
 * Ownership  a broker is owned by the hub; announcements are borrowed during the callback.
 * Threads    the hub's loop thread.
 * Units      seq counts from 1.
 * Errors     none reach the hub: a broker heals by itself and says when it was down. It may lose,
 *            repeat and reorder announcements; the hub repairs from the outbox. It passes on none
 *            that is forged.
 */
#ifndef LEAT_HUB_BROKER_H
#define LEAT_HUB_BROKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/metrics.h"
#include "base/slice.h"
#include "loop/loop.h"
#include "pg/pg_listener.h"
#include "wire/announcement.h"

typedef struct leat_broker_handler {
    /* Announcements arrive from now on, once a key is given (trust); earlier ones may be missing.
     */
    void (*on_up)(void *arg);
    void (*on_down)(void *arg);
    /* Our own functions wrote it. */
    void (*on_announce)(void *arg, const leat_announcement *a);
    /* Something came that they did not write, or wrote under another key. */
    void (*on_refused)(void *arg);
} leat_broker_handler;

typedef struct leat_broker leat_broker;
struct leat_broker {
    /* The key of what is to be believed from now on, until on_down. Returns 1 if it is another one
     * than before, else 0; LEAT_EBADMSG if it is none. */
    int (*trust)(leat_broker *b, leat_slice key);
    /* No further callbacks; done runs when nothing of it is left, and the broker is then freed. */
    void (*close)(leat_broker *b, void (*done)(void *arg), void *arg);
};

#endif
