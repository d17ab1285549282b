/* layer_options.c - the hub has a small pool of its own, and listens past a pooler (listen_url).
 */
#include "engine/layer_options.h"

#include "engine/migrate.h"
#include "wire/announcement.h"

#define LISTENER_NAME "leat listener"
#define REPAIR_NAME "leat repair"
#define POOL_CLEAN_TIMEOUT_MS 5000
#define MAX_BACKOFF_MS 2000
#define HUB_POOL_SIZE 2
#define HUB_STATEMENTS 16
#define KEEPALIVE_MS 5000
#define KEEPALIVE_TIMEOUT_MS 5000
/* A query's result in memory is somewhat larger than the JSON made of it. */
#define RESULT_PER_SNAPSHOT 4
/* What max_connections_per_address = 0 means. */
#define USUAL_CONNECTIONS_PER_ADDRESS 256

static size_t connections_of_address(const leat_config *config)
{
    return config->max_connections_per_address > 0 ? config->max_connections_per_address
                                                   : USUAL_CONNECTIONS_PER_ADDRESS;
}

/* A peer on this machine may be a proxy that is not in trusted_proxies: it stands for many. */
static size_t connections_of_this_machine(const leat_config *config)
{
    size_t half = config->limits.max_connections / 2;
    return config->max_connections_per_address == 0 && half > USUAL_CONNECTIONS_PER_ADDRESS
               ? half
               : connections_of_address(config);
}

leat_address_limits leat_layer_options_address(const leat_config *config)
{
    return (leat_address_limits){
        .connections = connections_of_address(config),
        .local_connections = connections_of_this_machine(config),
        .opening = config->connection_rate_per_address,
        .uses = {[LEAT_ADDRESS_REQUEST] = config->request_rate_per_address,
                 [LEAT_ADDRESS_SUBSCRIBE] = config->subscribe_rate_per_address},
    };
}

/* What the hub's and the workers' pools have in common. */
static leat_pg_pool_options common_pool(const leat_config *config)
{
    return (leat_pg_pool_options){
        .pg =
            {
                .conninfo = config->database_url,
                .max_statements = config->max_statements,
                .connect_timeout_ms = config->database_connect_timeout_ms,
                .max_result_bytes = config->limits.max_snapshot_bytes * RESULT_PER_SNAPSHOT,
            },
        .max_waiters = config->pool_max_waiters,
        .idle_timeout_ms = config->pool_idle_timeout_ms,
        .clean_timeout_ms = POOL_CLEAN_TIMEOUT_MS,
        .max_backoff_ms = MAX_BACKOFF_MS,
    };
}

/* Returns a share of the pool, at least one connection. */
static size_t share_of(size_t size, size_t percent)
{
    size_t n = size * percent / 100;
    return n > 0 ? n : 1;
}

leat_pg_pool_options leat_layer_options_pool(const leat_config *config, size_t i)
{
    leat_pg_pool_options pool = common_pool(config);
    pool.size = leat_config_pool_size(config, i);
    pool.reserve = pool.size > 1 ? share_of(pool.size, config->pool_reserve_percent) : 0;
    pool.per_client = share_of(pool.size, config->pool_client_percent);
    pool.per_user = share_of(pool.size, config->pool_user_percent);
    pool.crowd = share_of(pool.size, config->pool_crowd_percent);
    return pool;
}

leat_hub_options leat_layer_options_hub(const leat_config *config)
{
    leat_pg_pool_options pool = common_pool(config);
    pool.size = pool.per_client = pool.per_user = pool.crowd = HUB_POOL_SIZE;
    pool.reserve = 0; /* the hub has no handshakes */
    pool.pg.conninfo = config->listen_url;
    pool.pg.application_name = REPAIR_NAME;
    pool.pg.max_statements = HUB_STATEMENTS;
    leat_hub_options options = {
        .limits = &config->limits,
        .pool = pool,
        .listener =
            {
                .pg = pool.pg,
                .channel = LEAT_ANNOUNCEMENT_CHANNEL,
                .max_backoff_ms = MAX_BACKOFF_MS,
                .keepalive_ms = KEEPALIVE_MS,
                .keepalive_timeout_ms = KEEPALIVE_TIMEOUT_MS,
            },
        .schema_version = leat_migrate_known(config->schema_dir),
    };
    options.listener.pg.application_name = LISTENER_NAME;
    options.pool.pg.max_result_bytes = 0; /* the hub bounds its fetches itself */
    return options;
}
