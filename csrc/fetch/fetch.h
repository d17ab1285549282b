/* fetch.h - reads small documents over HTTPS, on a thread of its own.
 *
 * Ownership  a leat_fetch belongs to the fetcher from leat_fetch_start until its callback has
 *            returned, or until leat_fetch_cancel.
 * Threads    loop thread. The fetcher's own thread runs libcurl and nothing else, because resolving
 *            names, reading certificates and TLS may take long.
 * Units      milliseconds, bytes.
 * Errors     the callback gets a negative error and a sentence for the log.
 *
 * Certificates are verified. At most three redirects are followed, to https only (to http, too, if
 * that is allowed). An answer other than 200, one that is larger than max_bytes or later than
 * timeout_ms, is an error. All fetches run at the same time.
 */
#ifndef LEAT_FETCH_FETCH_H
#define LEAT_FETCH_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/buf.h"
#include "base/err.h"

typedef struct leat_fetcher leat_fetcher;
typedef struct leat_fetch leat_fetch;

typedef struct leat_fetch_options {
    const char *url;     /* copied */
    const char *ca_file; /* of certificates that are trusted instead of the system's; NULL: none */
    bool allow_http;
    uint64_t timeout_ms;
    size_t max_bytes;
} leat_fetch_options;

/* err 0: body is the document, borrowed. Otherwise reason says what was wrong. */
typedef void (*leat_fetch_cb)(void *arg, int err, leat_slice body, const char *reason);

/* Starts the thread. */
LEAT_MUST_CHECK int leat_fetcher_new(leat_fetcher **out, uv_loop_t *uv);

/* Gives up what is under way, whose callbacks do not run. Waits for the thread, which never takes
 * long. Frees the fetcher; then done runs. */
void leat_fetcher_close(leat_fetcher *f, void (*done)(void *arg), void *arg);

leat_fetch *leat_fetch_start(leat_fetcher *f, const leat_fetch_options *options, leat_fetch_cb cb,
                             void *arg);
/* The callback will not run. */
void leat_fetch_cancel(leat_fetch *fetch);

#endif
