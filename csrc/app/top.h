/* top.h - `leat top`: how a running server fares, again and again.
 *
 * Ownership  options are borrowed.
 * Threads    main thread; it blocks.
 * Units      none.
 * Errors     as operator.h, with a message for people.
 */
#ifndef LEAT_APP_TOP_H
#define LEAT_APP_TOP_H

#include "app/options.h"
#include "base/buf.h"
#include "base/err.h"

/* Returns when q is pressed; with --once, after one frame. */
LEAT_MUST_CHECK int leat_top(const leat_options *options, leat_buf *error);

#endif
