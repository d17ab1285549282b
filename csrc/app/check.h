/* check.h - `leat check`: would it serve? Looks, and changes nothing.
 *
 * Ownership  nothing is kept.
 * Threads    main thread; it blocks.
 * Units      none.
 * Errors     the first thing that stands in the way; the report has them all.
 */
#ifndef LEAT_APP_CHECK_H
#define LEAT_APP_CHECK_H

#include "app/config.h"
#include "base/buf.h"
#include "base/err.h"

/* Appends a line for each thing looked at: "app: ok (…)" or "database: failed: …". */
LEAT_MUST_CHECK int leat_check_run(const leat_config *config, leat_buf *report);

/* What `leat serve` asks before it starts: is the database there, with the schema that belongs to
 * this binary? */
LEAT_MUST_CHECK int leat_check_schema(const leat_config *config, leat_buf *error);

#endif
