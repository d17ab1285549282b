/* config.h - the configuration, and the table of its keys with their types, bounds and defaults.
 *
 * Ownership  a configuration owns its strings; leat_config_free frees them.
 * Threads    written on the main thread before other threads start; read-only afterwards.
 * Units      _ms milliseconds, _bytes bytes, _s seconds, the rest counts.
 * Errors     none.
 */
#ifndef LEAT_ENGINE_CONFIG_H
#define LEAT_ENGINE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/log.h"
#include "http/http_policy.h"
#include "net/host_list.h"
#include "net/ip.h"
#include "net/tls_store.h"

typedef enum leat_confine_mode {
    LEAT_CONFINE_AUTO, /* as far as the kernel can */
    LEAT_CONFINE_ON,   /* completely, or the server does not start */
    LEAT_CONFINE_OFF,
} leat_confine_mode;

typedef struct leat_config {
    leat_limits limits;
    char *listen;
    char *database_url;
    char *listen_url; /* equals database_url if it was left empty */
    char *app;
    char *static_dir;      /* "": none */
    char *centrifuge_path; /* "": none */
    char *allowed_origins; /* "": the server's own; else a comma-separated list, "*" for any */
    leat_http_policy http;
    char *metrics_listen;         /* "": none */
    char *control;                /* path of the operator's socket; "": none */
    char *console_listen;         /* address, or path of a Unix socket; "": none */
    char *console_token;          /* "": none is asked for */
    char *console_hosts;          /* "": see config/leat.lua */
    leat_host_list console_names; /* console_hosts, parsed */
    char *tls_listen;             /* "": none */
    char *tls_certificate;        /* comma-separated files, as are the keys */
    char *tls_key;
    char *tls_client_ca; /* "": clients are not asked for a certificate */
    bool tls_client_required;
    uint64_t tls_handshake_timeout_ms;
    size_t max_tls_handshakes;
    uint64_t tls_check_interval_ms;
    char *allowed_hosts;  /* "": see config/leat.lua */
    leat_host_list hosts; /* allowed_hosts, parsed */
    char *trusted_proxies;
    leat_networks trusted; /* trusted_proxies, parsed */
    char *proxy_protocol_from;
    leat_networks introducing; /* proxy_protocol_from, parsed */
    size_t max_connections_per_address;
    leat_rate connection_rate_per_address;
    leat_rate request_rate_per_address;
    leat_rate subscribe_rate_per_address;
    char *log_level;
    leat_log_levels levels; /* log_level, parsed */
    char *log_format;
    leat_log_format format; /* log_format, parsed */
    leat_log_limits log;
    size_t workers;
    size_t auto_workers; /* what "auto" comes to */
    size_t pool_size;
    size_t pool_max_waiters;
    size_t pool_reserve_percent;
    size_t pool_client_percent;
    size_t pool_user_percent;
    size_t pool_crowd_percent;
    uint64_t pool_idle_timeout_ms;
    uint64_t database_connect_timeout_ms;
    bool await_database; /* `leat serve` starts without it */
    size_t max_statements;
    uint64_t header_timeout_ms;
    uint64_t keep_alive_timeout_ms;
    uint64_t compression_level; /* 0: none */
    size_t compression_min_bytes;
    size_t max_header_bytes;
    size_t max_headers;
    size_t max_url_bytes;
    size_t max_body_bytes;
    size_t max_guest_bytes;
    size_t max_unauthenticated;
    size_t max_request_bytes;
    size_t max_host_requests;
    size_t max_ring_bytes;
    size_t max_client_bytes;
    uint64_t script_budget_ms;
    size_t script_memory_bytes;
    char *confine;
    leat_confine_mode confine_mode; /* confine, parsed */
    char *confine_read;             /* comma-separated paths */
    char *require_folders;          /* comma-separated paths */

    int gates; /* the socket of leat test (base/gate.h), or LEAT_GATE_NONE */

    char *app_source; /* the text of the app, in place of its file; NULL: the file counts */
    bool embedded;    /* a program embeds the server: it may have no listener */
    char *file;       /* the file that was read; NULL: none was */
    char *lua_dir;    /* where lua/leat/ lies */
    char *schema_dir; /* where the migrations lie */
    char *client_dir; /* where the JavaScript client lies */
    char *web_dir;    /* where the console's page lies */
} leat_config;

typedef enum leat_config_kind {
    LEAT_KEY_SIZE,     /* a number; the member is a size_t */
    LEAT_KEY_U64,      /* a number; the member is a uint64_t */
    LEAT_KEY_COUNT,    /* likewise a size_t; or "auto", which is 0 until the values are derived */
    LEAT_KEY_BOOL,     /* true or false; the member is a bool */
    LEAT_KEY_TEXT,     /* any string */
    LEAT_KEY_DATABASE, /* a connection string of libpq, which may hold a password */
    LEAT_KEY_HEADER,   /* the value of an HTTP header */
    LEAT_KEY_PATH,     /* a path; made absolute if it comes from a file */
    LEAT_KEY_PATHS,    /* likewise, comma-separated */
    LEAT_KEY_SOCKET,   /* an absolute path, or "off" */
    LEAT_KEY_ADDRESS,  /* "ADDRESS:PORT" */
    LEAT_KEY_PLACE,    /* likewise, or the absolute path of a Unix socket */
    LEAT_KEY_SECRET,   /* a secret of at least LEAT_CONFIG_SECRET_MIN characters; shown nowhere */
    LEAT_KEY_NETWORKS, /* comma-separated addresses and networks */
    LEAT_KEY_HOSTS,    /* comma-separated names */
    LEAT_KEY_ORIGINS,  /* comma-separated origins */
    LEAT_KEY_LEVEL,    /* of the log */
    LEAT_KEY_FORMAT,   /* of the log */
    LEAT_KEY_CONFINE,  /* "auto", "on" or "off" */
} leat_config_kind;

typedef struct leat_config_key {
    const char *name; /* with a dot if it stands in a table: "retention.seconds" */
    leat_config_kind kind;
    size_t offset;    /* of the member in leat_config */
    const char *text; /* default of a string */
    uint64_t number;  /* default of a number, and its bounds */
    uint64_t min;
    uint64_t max;
    const char *help;
} leat_config_key;

enum { LEAT_CONFIG_VARIABLE_MAX = 64 };

#define LEAT_CONFIG_AUTO "auto"

/* What listen is if there is no plain listener. */
#define LEAT_CONFIG_NO_LISTEN "none"

/* The longest path of a socket: what the kernel takes, less an ending of ours. */
enum { LEAT_CONFIG_SOCKET_MAX = 100 };

/* The shortest secret. */
enum { LEAT_CONFIG_SECRET_MIN = 16 };

/* All keys, in the order of config/leat.lua. */
const leat_config_key *leat_config_keys(size_t *n);
const leat_config_key *leat_config_find_key(const char *name); /* NULL: there is none */
bool leat_config_key_is_number(const leat_config_key *key);
bool leat_config_key_is_text(const leat_config_key *key);

/* Writes the name of the key's environment variable: LEAT_RETENTION_SECONDS. */
void leat_config_key_variable(const leat_config_key *key, char out[LEAT_CONFIG_VARIABLE_MAX]);

/* These set one member without a check; leat_config_set_text takes the text. */
void leat_config_set_number(leat_config *config, const leat_config_key *key, uint64_t n);
void leat_config_set_bool(leat_config *config, const leat_config_key *key, bool b);
void leat_config_set_text(leat_config *config, const leat_config_key *key, char *text);

/* The number of a key that is one, and whether it is the default. */
uint64_t leat_config_number(const leat_config *config, const leat_config_key *key);
bool leat_config_is_default(const leat_config *config, const leat_config_key *key);

/* The text of a key that is no number. */
const char *leat_config_text(const leat_config *config, const leat_config_key *key);

/* Database connections of the worker of that index: its share of pool_size, at least one. */
size_t leat_config_pool_size(const leat_config *config, size_t index);
/* Database connections of all workers together. */
size_t leat_config_pool_sizes(const leat_config *config);

/* The files that the TLS listener is to use. Borrows from the configuration. */
leat_tls_files leat_config_tls_files(const leat_config *config);

/* Overwrites all of config. */
void leat_config_set_defaults(leat_config *config);
void leat_config_free(leat_config *config);

#endif
