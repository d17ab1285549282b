/* config.h - the configuration: a table of keys with types, bounds and defaults, and where their
 * values come from.
 *
 * Ownership  leat_config_free frees what a loaded configuration owns; its strings live as long.
 * Threads    loaded on the main thread, read-only afterwards.
 * Units      _ms milliseconds, _bytes bytes, _s seconds, the rest counts.
 * Errors     LEAT_ECONFIG and one message that names the key, the value and what was expected.
 *
 * A value comes from the command line, else the environment, else the file, else the default.
 * Relative paths are relative to the folder of the file where they stand in it, and to the working
 * directory where they come from the command line or the environment.
 */
#ifndef LEAT_APP_CONFIG_H
#define LEAT_APP_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/log.h"
#include "net/ip.h"

typedef struct leat_config {
    leat_limits limits;
    char *listen;
    char *database_url;
    char *listen_url; /* database_url, if it was left empty */
    char *app;
    char *static_dir;      /* "": none */
    char *allowed_origins; /* "": the server's own; else a comma-separated list, "*" for any */
    char *metrics_listen;  /* "": none */
    char *trusted_proxies;
    leat_networks trusted; /* what it says */
    size_t max_connections_per_address;
    uint64_t connection_rate_per_address;
    uint64_t connection_burst_per_address;
    char *log_level;
    leat_log_level level;
    leat_log_limits log;
    size_t workers;
    size_t pool_size;
    size_t pool_max_waiters;
    size_t pool_reserve_percent;
    size_t pool_client_percent;
    size_t pool_user_percent;
    uint64_t pool_idle_timeout_ms;
    uint64_t database_connect_timeout_ms;
    size_t max_statements;
    uint64_t header_timeout_ms;
    uint64_t keep_alive_timeout_ms;
    size_t max_header_bytes;
    size_t max_headers;
    size_t max_body_bytes;
    size_t max_guest_bytes;
    size_t max_request_bytes;
    uint64_t script_budget_ms;
    size_t script_memory_bytes;

    char *file;       /* what was read; NULL: no file */
    char *lua_dir;    /* where lua/leat/ lies */
    char *schema_dir; /* where the migrations lie */
} leat_config;

typedef struct leat_config_sources {
    const char *home;         /* folder that holds lua/ and config/schema/ */
    const char *file;         /* --config; NULL: the default file, if there is one */
    const char *listen;       /* --listen and so on; NULL: not given */
    const char *database_url; /* also in place of listen_url, unless that is given, too */
    const char *listen_url;
    const char *app;
    char *(*getenv)(const char *name);
} leat_config_sources;

/* Loads all sources. On an error *out is empty and needs no freeing. */
LEAT_MUST_CHECK int leat_config_load(leat_config *out, const leat_config_sources *sources,
                                     leat_buf *error);
void leat_config_free(leat_config *config);

/* Checks what serving needs beyond right values: that the app and the static folder are there. */
LEAT_MUST_CHECK int leat_config_check_files(const leat_config *config, leat_buf *error);

/* Appends a line or two for every key: name, default, variable and what it means. */
void leat_config_describe(leat_buf *out);

/* The i-th key, for specs; NULL behind the last. */
const char *leat_config_key(size_t i);

#endif
