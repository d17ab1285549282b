/* account.h - what all clients of one user, or of one tenant, use together on one worker.
 *
 * Ownership  counted: _open returns one reference, _close drops one; the last one frees it. A
 *            subscriber holds its accounts.
 * Threads    loop thread of the worker.
 * Units      counts; milliseconds.
 * Errors     none.
 *
 * A client without a user has no account: the limits of one client are all that hold for it. The
 * exception is publishing: there such a client is a user of its own. */
#ifndef LEAT_CORE_ACCOUNT_H
#define LEAT_CORE_ACCOUNT_H

#include <stddef.h>
#include <stdint.h>

#include "base/bucket.h"
#include "base/map.h"
#include "base/slice.h"

typedef enum leat_account_kind {
    LEAT_ACCOUNT_USER = 'u',
    LEAT_ACCOUNT_TENANT = 't',
    LEAT_ACCOUNT_GUEST = 'g', /* one client without a user */
} leat_account_kind;

typedef struct leat_account {
    leat_map_entry entry_; /* in the worker's accounts; key: kind and name */
    leat_map *all_;
    uint32_t refs_;
    uint32_t subscriptions;
    uint32_t handshakes;                 /* subscribes that are not yet answered */
    leat_bucket publishes;               /* to all topics */
    struct account_publishes *by_topic_; /* NULL until it publishes to one */
    char name_[];
} leat_account;

/* all: the worker's accounts, which are empty again when the last one is closed. */
leat_account *leat_account_open(leat_map *all, leat_account_kind kind, leat_slice name);
void leat_account_close(leat_account *a); /* NULL is allowed */

/* Counts a publish to the topic. Returns 0, or in how many milliseconds there may be one: then
 * nothing is counted. */
uint64_t leat_account_publish(leat_account *a, leat_slice topic, const leat_rate *rate,
                              uint64_t now_ms);

#endif
