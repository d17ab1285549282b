/* key_store.h - a worker's key sources, one for each URL.
 *
 * Ownership  the worker makes and closes it. Sources are counted; the store is not their owner, but
 *            knows them all. It outlives the scripts, so that the keys of a URL outlive a reload.
 * Threads    loop thread of the worker.
 * Units      as config/leat.lua says.
 * Errors     negative numbers, of the thread that fetches.
 */
#ifndef LEAT_FETCH_KEY_STORE_H
#define LEAT_FETCH_KEY_STORE_H

#include <stdbool.h>

#include "base/err.h"
#include "fetch/key_source.h"

typedef struct leat_key_store leat_key_store;

leat_key_store *leat_key_store_new(leat_loop *loop, leat_metrics *metrics,
                                   const leat_limits *limits);

/* No source may be left. Frees the store; then done runs. */
void leat_key_store_close(leat_key_store *store, void (*done)(void *arg), void *arg);

/* Returns a reference to the source of that URL, which is made if there is none. ca_file may be
 * NULL. */
LEAT_MUST_CHECK int leat_key_store_open(leat_key_source **out, leat_key_store *store,
                                        const char *url, const char *ca_file, bool allow_http);

#endif
