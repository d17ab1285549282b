/* hub_schema.h - whether this server can still use the schema: somebody may run the migrations of a
 * newer version while it runs.
 *
 * Ownership  results are borrowed; the text belongs to the hub.
 * Threads    the hub's.
 * Units      versions of the schema.
 * Errors     an answer that is an error changes nothing.
 */
#ifndef LEAT_HUB_HUB_SCHEMA_H
#define LEAT_HUB_HUB_SCHEMA_H

#include "hub/hub_state.h"

/* The question. */
extern const char hub_schema_sql[];

/* Takes the answer to it. Returns true if the schema needs a newer server: then nothing may be
 * delivered. /readyz and a metric tell of it until an answer says otherwise, and the log when it
 * changes. */
bool hub_schema_take(leat_hub *h, const leat_pg_result *res, int err);

#endif
