/* http_gzip.h - the compressed forms of static files: made once, kept in memory within a bound.
 *
 * Ownership  one of these a worker. A form lives as long as it is kept or somebody holds it.
 * Threads    loop thread of the worker; compressing happens on libuv's thread pool.
 * Units      bytes.
 * Errors     a file that cannot be compressed has no form: it is sent as it is.
 *
 * A form is known by the file's name and version. Who asks for one that is being made waits for it;
 * it is made once. The forms that were asked for least recently are dropped first, but none that is
 * held.
 */
#ifndef LEAT_HTTP_HTTP_GZIP_H
#define LEAT_HTTP_HTTP_GZIP_H

#include <stdbool.h>

#include "base/list.h"
#include "base/metrics.h"
#include "base/slice.h"
#include "loop/loop.h"

typedef struct leat_http_gzip leat_http_gzip;
typedef struct leat_http_form leat_http_form;

/* Somebody who waits for a form. cb gets NULL if there is no form; else the form is held for it. A
 * wait cannot be given up: its owner lives until cb. */
typedef struct leat_http_form_wait {
    leat_list link;
    void (*cb)(struct leat_http_form_wait *w, leat_http_form *form);
} leat_http_form_wait;

leat_http_gzip *leat_http_gzip_new(leat_loop *loop, leat_metrics *metrics, int level,
                                   size_t max_bytes);
/* After the loop has ended: nothing is being made, and nothing is held. NULL is harmless. */
void leat_http_gzip_free(leat_http_gzip *g);

/* What is known of a file. key: its name and version. */
typedef enum leat_http_gzip_answer {
    LEAT_HTTP_GZIP_HELD, /* *form is held for the caller */
    LEAT_HTTP_GZIP_NONE, /* there is none: it is no shorter, or there is no room for it */
    LEAT_HTTP_GZIP_WAIT, /* w->cb is called once, not from inside this call */
} leat_http_gzip_answer;

/* Asks for the form of an open file of that size. fd is borrowed for this call only. */
leat_http_gzip_answer leat_http_gzip_ask(leat_http_gzip *g, leat_slice key, int fd, size_t size,
                                         leat_http_form_wait *w, leat_http_form **form);

/* The bytes of a form that is held. */
leat_slice leat_http_form_bytes(const leat_http_form *form);
void leat_http_form_release(leat_http_form *form); /* NULL is harmless */

#endif
