/* hub_schema.c - the question is asked before each call of leat_internal.attend (hub_attend.c), and
 * every compare_interval_ms (hub_problems.c). The newest migration says which servers work with the
 * schema (0010_upgrades.sql). leat_migrate_check asks the same before a server starts.
 */
#include "hub/hub_schema.h"

#include <stdio.h>
#include <stdlib.h>

const char hub_schema_sql[] = "select m.version, m.oldest_server from leat_internal.migration m"
                              " order by m.version desc limit 1";

/* Before h->schema_too_new is set: only a change is logged. */
static void tell(leat_hub *h, bool is_too_new, int version)
{
    char why[160];
    snprintf(why, sizeof(why),
             "version %d is newer than this leat, which knows %d: use the newer leat", version,
             h->schema_version);
    hub_health_set_trouble(&h->health, LEAT_HUB_SCHEMA, is_too_new ? why : NULL);
    leat_metrics_set(h->metrics, LEAT_M_SCHEMA_TOO_NEW, is_too_new);
    if (is_too_new && !h->schema_too_new)
        LEAT_LOG_ERROR("hub", "schema too new, nothing is delivered version=%d known=%d", version,
                       h->schema_version);
    else if (!is_too_new && h->schema_too_new)
        LEAT_LOG_INFO("hub", "schema goes with this server again version=%d", version);
}

bool hub_schema_take(leat_hub *h, const leat_pg_result *res, int err)
{
    if (err < 0 || leat_pg_result_rows(res) != 1)
        return h->schema_too_new;
    int version = (int)strtol(leat_pg_result_value(res, 0, 0).at, NULL, 10);
    int oldest_server = (int)strtol(leat_pg_result_value(res, 0, 1).at, NULL, 10);
    bool is_too_new = version > h->schema_version && oldest_server > h->schema_version;
    tell(h, is_too_new, version);
    h->schema_too_new = is_too_new;
    return is_too_new;
}
