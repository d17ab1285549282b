/* account.h - what all clients of one user, or of one tenant, use together on one worker.
 *
 * Ownership  counted: _open returns one reference, _close drops one. A subscriber holds its
 *            accounts. The set owns all of them.
 * Threads    loop thread of the worker.
 * Units      counts; milliseconds.
 * Errors     none.
 *
 * A client without a user has no account: the limits of one client are all that hold for it. The
 * exception is publishing: there such a client is a user of its own.
 *
 * An account that nobody holds is forgotten, unless it has published lately: who comes back finds
 * his rate as he left it. Of these a bounded number is remembered, until they may publish as much
 * as anybody. */
#ifndef LEAT_CORE_ACCOUNT_H
#define LEAT_CORE_ACCOUNT_H

#include <stddef.h>
#include <stdint.h>

#include "base/bucket.h"
#include "base/list.h"
#include "base/map.h"
#include "base/slice.h"

typedef enum leat_account_kind {
    LEAT_ACCOUNT_USER = 'u',
    LEAT_ACCOUNT_TENANT = 't',
    LEAT_ACCOUNT_GUEST = 'g', /* one client without a user */
} leat_account_kind;

typedef struct leat_account_set {
    leat_map all_;
    leat_list left_; /* those that nobody holds, the one that was left first first */
    size_t n_held_;
    size_t n_left_; /* with the topics to which they have published */
} leat_account_set;

typedef struct leat_account {
    leat_map_entry entry_; /* in the worker's accounts; key: kind and name */
    leat_list link_;       /* on left_ */
    leat_account_set *set_;
    uint32_t refs_;
    uint32_t subscriptions;
    uint32_t handshakes;                 /* subscribes that are not yet answered */
    leat_bucket publishes;               /* to all topics */
    struct account_publishes *by_topic_; /* NULL until it publishes to one */
    char name_[];
} leat_account;

void leat_account_set_init(leat_account_set *set);
/* Nobody holds an account of it. */
void leat_account_set_close(leat_account_set *set);
/* How many somebody holds. */
static inline size_t leat_account_set_held(const leat_account_set *set)
{
    return set->n_held_;
}

leat_account *leat_account_open(leat_account_set *set, leat_account_kind kind, leat_slice name);
void leat_account_close(leat_account *a, uint64_t now_ms); /* NULL is allowed */

/* Counts a publish to the topic. Returns 0, or in how many milliseconds there may be one: then
 * nothing is counted. */
uint64_t leat_account_publish(leat_account *a, leat_slice topic, const leat_rate *rate,
                              uint64_t now_ms);

#endif
