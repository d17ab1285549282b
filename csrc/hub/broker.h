/* broker.h - what carries announcements: "topic T has event N".
 *
 * Ownership  a broker is owned by the hub; announcements are borrowed during the callback.
 * Threads    the hub's loop thread.
 * Units      seq counts from 1.
 * Errors     none reach the hub: a broker connects again by itself, and says when it is down. It
 *            may lose, repeat and reorder announcements; the hub repairs from the outbox. It
 *            passes on no announcement that is forged.
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
    /* The broker is connected. Announcements arrive once a key was given (trust); earlier ones may
     * be missing. */
    void (*on_up)(void *arg);
    void (*on_down)(void *arg);
    /* Why it is down, before on_down and whenever it cannot connect. why is borrowed. */
    void (*on_trouble)(void *arg, const char *why);
    /* Leat's own SQL functions wrote the announcement. */
    void (*on_announce)(void *arg, const leat_announcement *a);
    /* A notification arrived that those functions did not write, or wrote under another key. */
    void (*on_refused)(void *arg);
} leat_broker_handler;

typedef struct leat_broker leat_broker;
struct leat_broker {
    /* Announcements under that key are believed from now on, until on_down. Returns 1 if the key is
     * another one than before, else 0; LEAT_EBADMSG if it is no key. */
    int (*trust)(leat_broker *b, leat_slice key);
    /* No callbacks of the handler run any more. done runs when nothing of the broker is left, and
     * the broker is then freed. */
    void (*close)(leat_broker *b, void (*done)(void *arg), void *arg);
};

#endif
