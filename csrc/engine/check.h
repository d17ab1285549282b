/* check.h - `leat check`: would it serve? Looks, and changes nothing.
 *
 * Ownership  nothing is kept.
 * Threads    main thread, where nothing else is said. Each function blocks.
 * Units      none.
 * Errors     _run: none. _start: the first thing that stands in the way.
 */
#ifndef LEAT_ENGINE_CHECK_H
#define LEAT_ENGINE_CHECK_H

#include "base/buf.h"
#include "base/err.h"
#include "engine/check_report.h"
#include "engine/config.h"

/* Looks at everything that a server would meet, and tells the report what it has looked at and what
 * it has found. Whether something is wrong is what the report counts. */
void leat_check_run(const leat_config *config, leat_check_report *report);

/* What `leat serve` asks before it starts. Fatal findings are returned, and appended to error, one
 * a line; the others are logged. */
LEAT_MUST_CHECK int leat_check_start(const leat_config *config, leat_buf *error);

/* The part of leat_check_start that is about the database. Any thread. */
LEAT_MUST_CHECK int leat_check_database(const leat_config *config, leat_buf *error);

/* True if err, of leat_check_start or leat_check_database, means that the database could not be
 * reached. */
bool leat_check_is_unreachable(int err);

#endif
