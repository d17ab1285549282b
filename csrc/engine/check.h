/* check.h - `leat check`: would it serve? Looks, and changes nothing.
 *
 * Ownership  nothing is kept.
 * Threads    main thread; it blocks.
 * Units      none.
 * Errors     the first thing that stands in the way; the report has them all.
 */
#ifndef LEAT_ENGINE_CHECK_H
#define LEAT_ENGINE_CHECK_H

#include "base/buf.h"
#include "base/err.h"
#include "engine/config.h"

/* Appends a line for each thing looked at, "app: ok (…)" or "app: failed: …", and one for each
 * finding of the doctor: "error: PROBLEM: REMEDY". An error, fatal or not, is returned. */
LEAT_MUST_CHECK int leat_check_run(const leat_config *config, leat_buf *report);

/* What `leat serve` asks before it starts. Fatal findings are returned, and appended to error, one
 * a line; the others are logged. */
LEAT_MUST_CHECK int leat_check_start(const leat_config *config, leat_buf *error);

#endif
