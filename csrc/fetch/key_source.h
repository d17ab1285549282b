/* key_source.h - the keys that a URL publishes: a JWK set that is fetched, kept and renewed.
 *
 * Ownership  counted: leat_key_source_new returns one reference. With the last one, gone runs, and
 *            the source is freed.
 * Threads    loop thread of the worker.
 * Units      milliseconds of the loop's clock.
 * Errors     a fetch that fails is logged and repeated; the keys that are there go on being used,
 *            until they are older than jwks_max_age_s.
 *
 * A source is WAITING for the time of its next fetch, or FETCHING. It fetches when it is made,
 * every jwks_refresh_s, and when somebody wants keys that it lacks, but for that reason not more
 * often than once in jwks_min_interval_ms. So a flood of tokens with invented kids costs the
 * provider nothing.
 */
#ifndef LEAT_FETCH_KEY_SOURCE_H
#define LEAT_FETCH_KEY_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/list.h"
#include "base/metrics.h"
#include "fetch/fetch.h"
#include "loop/loop.h"
#include "wire/jwk_set.h"

typedef struct leat_key_source leat_key_source;

/* Somebody who waits for a fetch. Embedded in its owner. */
typedef struct leat_key_waiter leat_key_waiter;
typedef void (*leat_key_waiter_cb)(leat_key_waiter *w);
struct leat_key_waiter {
    leat_list link_;
    leat_key_waiter_cb cb_;
};

typedef struct leat_key_source_options {
    leat_loop *loop;
    leat_fetcher *fetcher;
    leat_metrics *metrics;
    const leat_limits *limits;
    const char *url; /* copied, and so is ca_file */
    const char *ca_file;
    bool allow_http;
    void (*changed)(void *arg); /* the age of the keys may be another one */
    void (*gone)(void *arg, leat_key_source *source);
    void *arg;
} leat_key_source_options;

/* Begins the first fetch. */
leat_key_source *leat_key_source_new(const leat_key_source_options *options);
leat_key_source *leat_key_source_ref(leat_key_source *s);
void leat_key_source_unref(leat_key_source *s);

/* The keys, borrowed; NULL if there are none, or none that are young enough. */
leat_jwk_set *leat_key_source_set(const leat_key_source *s);

/* Age of the keys in seconds; how long the source exists, if there are none. */
int64_t leat_key_source_age_s(const leat_key_source *s);

/* True if the last fetch failed, so that the keys may not be all that there are. */
bool leat_key_source_in_doubt(const leat_key_source *s);

/* When it pays to ask again, in milliseconds from now. */
uint32_t leat_key_source_retry_ms(const leat_key_source *s);

/* Somebody lacks a key: begins a fetch if that is allowed. True if one is under way. */
bool leat_key_source_want(leat_key_source *s);

/* Calls cb once the fetch that is under way has ended, whatever came of it. */
void leat_key_source_wait(leat_key_source *s, leat_key_waiter *w, leat_key_waiter_cb cb);
void leat_key_waiter_init(leat_key_waiter *w);
/* Harmless if it does not wait. */
void leat_key_waiter_stop(leat_key_waiter *w);

#endif
