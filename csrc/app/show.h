/* show.h - `leat show`: one question to a running server.
 *
 * Ownership  options are borrowed.
 * Threads    main thread; it blocks.
 * Units      none.
 * Errors     as operator.h, with a message for people.
 */
#ifndef LEAT_APP_SHOW_H
#define LEAT_APP_SHOW_H

#include "app/options.h"
#include "base/buf.h"
#include "base/err.h"

/* Appends the answer to out. */
LEAT_MUST_CHECK int leat_show(const leat_options *options, leat_buf *out, leat_buf *error);

#endif
