/* last_errors.h - the last failures of a worker's scripts, for an operator to look at.
 *
 * Ownership  embedded in the core; texts are copied.
 * Threads    loop thread of the worker.
 * Units      milliseconds since 1970; bytes.
 * Errors     none.
 *
 * A failure that comes again is counted, and becomes the newest one. Of different ones,
 * LEAT_LAST_ERRORS are kept, each with at most LEAT_LAST_ERROR_BYTES of its text.
 */
#ifndef LEAT_CORE_LAST_ERRORS_H
#define LEAT_CORE_LAST_ERRORS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "base/slice.h"

enum { LEAT_LAST_ERRORS = 20, LEAT_LAST_ERROR_BYTES = 4000 };

typedef struct leat_last_errors {
    leat_list all_; /* the newest one last */
    size_t n_;
} leat_last_errors;

typedef struct leat_script_failure {
    const char *handler; /* "subscribe", say; static */
    leat_slice name;     /* of the topic, method or path */
    leat_code code;
    const char *sqlstate; /* "": there is none */
    leat_slice text;      /* the message, with the traceback of a script error; without secrets */
} leat_script_failure;

void leat_last_errors_init(leat_last_errors *e);
void leat_last_errors_close(leat_last_errors *e);

void leat_last_errors_add(leat_last_errors *e, const leat_script_failure *failure);

/* Appends a JSON array, the newest failure first. */
void leat_last_errors_write(const leat_last_errors *e, leat_buf *json);

#endif
