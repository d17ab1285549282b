/* The table of the configuration's keys, and what only needs the table. config_load.c reads the
 * values. */
#include "engine/config.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/gate.h"
#include "base/mem.h"

#define KIB UINT64_C(1024)
#define MIB (KIB * KIB)
#define GIB (KIB * MIB)
#define DAY_MS UINT64_C(86400000)
#define YEAR_S UINT64_C(31536000)

#define SIZE_KEY(name, member, number, min, max, help)                                             \
    {                                                                                              \
        name, LEAT_KEY_SIZE, offsetof(leat_config, member), NULL, number, min, max, help           \
    }
#define U64_KEY(name, member, number, min, max, help)                                              \
    {                                                                                              \
        name, LEAT_KEY_U64, offsetof(leat_config, member), NULL, number, min, max, help            \
    }
/* Two keys: how much a second in the long run, and how much at once. */
#define RATE_KEYS(before, after, member, rate, burst_, max, help)                                  \
    U64_KEY(before "rate" after, member.per_s, rate, 1, max, help ", a second"),                   \
        U64_KEY(before "burst" after, member.burst, burst_, 1, max, help ", at once")
#define TEXT_KEY(name, kind, member, text, help)                                                   \
    {                                                                                              \
        name, kind, offsetof(leat_config, member), text, 0, 0, 0, help                             \
    }
#define BOOL_KEY(name, member, yes, help)                                                          \
    {                                                                                              \
        name, LEAT_KEY_BOOL, offsetof(leat_config, member), NULL, yes, 0, 1, help                  \
    }
#define HEADER_KEY(name, index, text)                                                              \
    TEXT_KEY("headers." name, LEAT_KEY_HEADER, http.page[index], text,                             \
             "header of every answer that does not set it itself; \"off\": none")

/* The order is that of config/leat.lua. */
static const leat_config_key keys[] = {
    TEXT_KEY("listen", LEAT_KEY_ADDRESS, listen, "127.0.0.1:8080",
             "address and port to serve on, without TLS; none: only tls_listen"),
    TEXT_KEY("tls_listen", LEAT_KEY_ADDRESS, tls_listen, "",
             "address and port to serve on with TLS; empty: none"),
    TEXT_KEY("tls_certificate", LEAT_KEY_PATHS, tls_certificate, "",
             "comma-separated PEM files: each a certificate and those that lead to its authority"),
    TEXT_KEY(
        "tls_key", LEAT_KEY_PATHS, tls_key, "",
        "comma-separated PEM files: the certificates' keys, in their order; empty: they are in "
        "the files of the certificates"),
    TEXT_KEY("tls_client_ca", LEAT_KEY_PATH, tls_client_ca, "",
             "PEM file of authorities for clients' certificates; empty: clients need none"),
    BOOL_KEY("tls_client_required", tls_client_required, false,
             "whether a client without a certificate of tls_client_ca is refused"),
    U64_KEY("tls_handshake_timeout_ms", tls_handshake_timeout_ms, 10000, 10, 600000,
            "how long a TLS handshake may take"),
    SIZE_KEY("max_tls_handshakes", max_tls_handshakes, 1000, 1, 1000000,
             "TLS handshakes under way, shared out among the workers; beyond that, the oldest one "
             "makes room"),
    U64_KEY("tls_check_interval_ms", tls_check_interval_ms, 2000, 10, DAY_MS,
            "how often the files of the certificates are looked at"),
    TEXT_KEY("database_url", LEAT_KEY_DATABASE, database_url, "",
             "the database, as a URL or key=value; empty: libpq's defaults"),
    TEXT_KEY("listen_url", LEAT_KEY_DATABASE, listen_url, "",
             "the same database without a pooler in transaction mode, for LISTEN, the outbox and "
             "leat migrate; empty: database_url"),
    TEXT_KEY("app", LEAT_KEY_PATH, app, "", "the application's Lua file; empty: the example"),
    TEXT_KEY("centrifuge_path", LEAT_KEY_HEADER, centrifuge_path, "/connection/websocket",
             "path at which clients speak Centrifugo's protocol; empty: none"),
    TEXT_KEY("static_dir", LEAT_KEY_PATH, static_dir, "",
             "folder of static files; empty: public beside the app, if it is there"),
    TEXT_KEY(
        "allowed_origins", LEAT_KEY_ORIGINS, allowed_origins, "",
        "comma-separated origins whose pages may connect; empty: only the server's own; *: any"),
    HEADER_KEY("content_security_policy", LEAT_HTTP_PAGE_CSP,
               "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; "
               "frame-ancestors 'none'"),
    HEADER_KEY("content_type_options", LEAT_HTTP_PAGE_TYPE_OPTIONS, "nosniff"),
    HEADER_KEY("frame_options", LEAT_HTTP_PAGE_FRAME_OPTIONS, "DENY"),
    HEADER_KEY("referrer_policy", LEAT_HTTP_PAGE_REFERRER_POLICY, "same-origin"),
    HEADER_KEY("permissions_policy", LEAT_HTTP_PAGE_PERMISSIONS_POLICY,
               "accelerometer=(), camera=(), geolocation=(), gyroscope=(), magnetometer=(), "
               "microphone=(), payment=(), usb=()"),
    HEADER_KEY("strict_transport_security", LEAT_HTTP_PAGE_HSTS, "max-age=31536000"),
    BOOL_KEY("cors.credentials", http.cors_credentials, false,
             "whether pages of listed origins may send cookies with their requests"),
    TEXT_KEY("cors.headers", LEAT_KEY_HEADER, http.cors_headers,
             "Authorization, Content-Type, Last-Event-ID",
             "headers that pages of allowed origins may send"),
    TEXT_KEY("cors.expose_headers", LEAT_KEY_HEADER, http.cors_expose, "Retry-After, Leat-Position",
             "headers of an answer that pages of allowed origins may read"),
    U64_KEY("cors.max_age_s", http.cors_max_age_s, 600, 0, 86400,
            "how long a browser may remember the answer to a preflight request"),
    U64_KEY("gzip_level", http.gzip_level, 6, 0, 9,
            "how hard files and the answers of routes are compressed: 1 is the fastest, 9 the "
            "smallest, 0 compresses none"),
    SIZE_KEY("gzip_min_bytes", http.gzip_min_bytes, 1024, 0, GIB,
             "a shorter file or answer is not compressed"),
    SIZE_KEY("gzip_cache_bytes", http.gzip_cache_bytes, 16 * MIB, 0, 16 * GIB,
             "compressed files kept in memory, shared out among the workers"),
    TEXT_KEY("allowed_hosts", LEAT_KEY_HOSTS, allowed_hosts, "",
             "comma-separated names that this server is asked for; empty: any, but only local ones "
             "if it listens on this machine alone"),
    TEXT_KEY("trusted_proxies", LEAT_KEY_NETWORKS, trusted_proxies, "",
             "comma-separated addresses and networks of proxies that send the client's address"),
    TEXT_KEY("proxy_protocol_from", LEAT_KEY_NETWORKS, proxy_protocol_from, "",
             "comma-separated addresses and networks of proxies whose connections begin with a "
             "PROXY protocol header"),
    TEXT_KEY(
        "metrics_listen", LEAT_KEY_ADDRESS, metrics_listen, "",
        "address and port for /metrics and the details of /readyz; empty: on listen, for loopback "
        "peers only"),
    TEXT_KEY("control", LEAT_KEY_SOCKET, control, "",
             "the Unix socket of leat show, leat top and their like: an absolute path; off: none; "
             "empty: control in the folder that systemd gives the service, else none"),
    TEXT_KEY("console_listen", LEAT_KEY_PLACE, console_listen, "",
             "address and port of the console (/console), or the absolute path of a Unix socket; "
             "empty: none"),
    TEXT_KEY("console_token", LEAT_KEY_SECRET, console_token, "",
             "secret that the console asks for; empty: none, which only an address of this machine "
             "or a Unix socket may have"),
    TEXT_KEY("console_hosts", LEAT_KEY_HOSTS, console_hosts, "",
             "comma-separated names that the console is asked for; empty: only addresses and local "
             "names"),
    TEXT_KEY("log_level", LEAT_KEY_LEVEL, log_level, "info",
             "debug, info, warn or error, and behind it levels of subsystems: info,pg=debug"),
    TEXT_KEY("log_format", LEAT_KEY_FORMAT, log_format, "logfmt",
             "logfmt or json: how a line of the log is written"),
    U64_KEY("log_rate", log.rate, 10, 1, 1000000, "log lines of one kind a second"),
    U64_KEY("log_burst", log.burst, 100, 1, 1000000, "log lines of one kind in a burst"),
    U64_KEY("log_bytes_per_s", log.bytes_per_s, 64 * KIB, KIB, GIB,
            "bytes of all log lines a second; errors have the same amount for themselves"),
    SIZE_KEY("log_buffer_bytes", log.buffer_bytes, MIB, 64 * KIB, GIB,
             "log lines that wait to be written; lines beyond that are dropped"),
    {"workers", LEAT_KEY_COUNT, offsetof(leat_config, workers), NULL, 0, 1, 64,
     "worker threads; auto: one for each core that the server may use, and no more than half of "
     "pool_size (in a program that embeds the server: one)"},
    SIZE_KEY("pool_size", pool_size, 10, 1, 1000,
             "database connections of all workers, shared out among them; each has one at least"),
    SIZE_KEY("pool_max_waiters", pool_max_waiters, 10000, 1, 1000000,
             "requests of one worker that may wait for a connection"),
    SIZE_KEY("pool_client_percent", pool_client_percent, 30, 1, 100,
             "share of the pool that one client may hold"),
    SIZE_KEY("pool_user_percent", pool_user_percent, 50, 1, 100,
             "share of the pool that all clients of one user may hold"),
    SIZE_KEY("pool_crowd_percent", pool_crowd_percent, 30, 1, 100,
             "share of the pool that handshakes of all addresses may hold that subscribe faster "
             "than subscribe_rate_per_address for long; 100: no such share"),
    SIZE_KEY("pool_reserve_percent", pool_reserve_percent, 20, 1, 90,
             "share of the pool that is reserved for handshakes"),
    U64_KEY("pool_idle_timeout_ms", pool_idle_timeout_ms, 60000, 100, DAY_MS,
            "time after which an idle connection is closed; one always stays"),
    U64_KEY("database_connect_timeout_ms", database_connect_timeout_ms, 5000, 10, 600000,
            "timeout of one attempt to connect to the database"),
    BOOL_KEY("await_database", await_database, false,
             "whether leat serve starts while the database cannot be reached, and waits for it"),
    SIZE_KEY("max_statements", max_statements, 256, 0, 100000,
             "prepared statements kept on one connection; 0 prepares none"),
    U64_KEY("control_timeout_ms", limits.control_timeout_ms, 5000, 10, DAY_MS,
            "timeout of a request whose caller gave none"),
    U64_KEY("max_timeout_ms", limits.max_timeout_ms, 30000, 10, DAY_MS,
            "the longest timeout that a caller may give"),
    SIZE_KEY("max_connections", limits.max_connections, 10000, 1, 10000000,
             "client connections, shared out among the workers"),
    SIZE_KEY("max_connections_per_address", max_connections_per_address, 0, 0, 10000000,
             "connections of one address (IPv6: of a /64 network); 0: 256, and half of "
             "max_connections for peers on this machine"),
    RATE_KEYS("connection_", "_per_address", connection_rate_per_address, 1000, 5000, 1000000,
              "new connections of one address"),
    RATE_KEYS("request_", "_per_address", request_rate_per_address, 500, 5000, 1000000,
              "HTTP requests of one address"),
    RATE_KEYS("subscribe_", "_per_address", subscribe_rate_per_address, 200, 65536, 1000000,
              "subscribes of one address"),
    SIZE_KEY("max_subscriptions", limits.allowance.max_subscriptions, 256, 1, 1000000,
             "subscriptions of one client"),
    SIZE_KEY("max_subscriptions_per_user", limits.allowance.max_subscriptions_per_user, 20000, 1,
             10000000, "subscriptions of all clients of one user, on one worker"),
    SIZE_KEY("max_handshakes", limits.max_handshakes, 10000, 1, 10000000,
             "subscribes, and requests for scripts, of one worker that are not yet answered"),
    SIZE_KEY("max_handshakes_per_user", limits.allowance.max_handshakes_per_user, 2500, 1, 10000000,
             "subscribes of one user, on one worker, that are not yet answered"),
    U64_KEY("retry_after_min_ms", limits.retry_after_min_ms, 100, 1, 1000,
            "the shortest time after which somebody who is told \"unavailable\" is to try again"),
    U64_KEY("retry_after_max_ms", limits.retry_after_max_ms, 30000, 2000, 1200000,
            "the longest such time, with its jitter"),
    RATE_KEYS("publish_", "_per_user", limits.allowance.publishes, 200, 2000, 1000000,
              "publishes of one user to one topic, on one worker"),
    SIZE_KEY("max_inflight", limits.max_inflight, 8, 1, 100000,
             "unanswered requests of one client"),
    RATE_KEYS("message_", "_per_client", limits.allowance.messages, 500, 5000, 1000000,
              "messages of one client"),
    RATE_KEYS("byte_", "_per_client", limits.allowance.bytes, MIB, 4 * MIB, GIB,
              "bytes that one client sends (at least 8 and 32 of its largest messages)"),
    RATE_KEYS("control_", "_per_client", limits.allowance.controls, 500, 5000, 1000000,
              "pings and pongs of one client"),
    SIZE_KEY("max_message_bytes", limits.max_message_bytes, 64 * KIB, KIB, GIB,
             "one message of a client"),
    SIZE_KEY("max_message_values", limits.max_message_values, 10000, 10, 100000000,
             "JSON values in one message of a client"),
    U64_KEY("compression_level", compression_level, 1, 0, 9,
            "how hard messages are compressed for clients that take it (permessage-deflate): 1 is "
            "the fastest, 9 the smallest, 0 compresses none"),
    SIZE_KEY("compression_min_bytes", compression_min_bytes, 256, 0, GIB,
             "a shorter message is not compressed"),
    SIZE_KEY("max_snapshot_bytes", limits.max_snapshot_bytes, 16 * MIB, KIB, GIB,
             "one snapshot, as JSON"),
    SIZE_KEY("max_send_buffer_bytes", limits.max_send_buffer_bytes, MIB, 4 * KIB, GIB,
             "unsent bytes of one client; above that, no more events are queued for it"),
    SIZE_KEY("max_client_bytes", max_client_bytes, 512 * MIB, MIB, 64 * GIB,
             "bytes that all clients make the server hold, shared out among the workers"),
    U64_KEY("first_message_timeout_ms", limits.first_message_timeout_ms, 60000, 100, DAY_MS,
            "how long a client may be connected without a message"),
    U64_KEY("idle_timeout_ms", limits.idle_timeout_ms, 600000, 100, DAY_MS * 365,
            "time after which a client without subscriptions and messages is closed"),
    U64_KEY("slow_client_timeout_ms", limits.slow_client_timeout_ms, 15000, 100, DAY_MS,
            "time after which a client that receives nothing is closed"),
    U64_KEY("ping_interval_ms", limits.ping_interval_ms, 25000, 100, DAY_MS,
            "how often a silent client is pinged"),
    U64_KEY("pong_timeout_ms", limits.pong_timeout_ms, 10000, 100, DAY_MS,
            "how long the answer to a ping may take"),
    U64_KEY("close_timeout_ms", limits.close_timeout_ms, 5000, 10, 600000,
            "how long a closing handshake may take"),
    U64_KEY("header_timeout_ms", header_timeout_ms, 10000, 10, 600000,
            "how long the head of a request may take to arrive, and then its body"),
    U64_KEY("keep_alive_timeout_ms", keep_alive_timeout_ms, 75000, 10, DAY_MS,
            "time after which an HTTP connection without requests is closed"),
    SIZE_KEY("max_header_bytes", max_header_bytes, 16384, 512, MIB,
             "request line and headers of one request"),
    SIZE_KEY("max_headers", max_headers, 100, 4, 10000, "headers of one request"),
    SIZE_KEY("max_url_bytes", max_url_bytes, 8192, 64, MIB, "path and query of one request"),
    SIZE_KEY("max_body_bytes", max_body_bytes, MIB, 0, GIB, "body of one request"),
    U64_KEY("authenticate_timeout_ms", limits.authenticate_timeout_ms, 10000, 100, 600000,
            "how long the first message may take to arrive, if it brings the token"),
    SIZE_KEY("max_first_message_bytes", limits.max_first_message_bytes, 16 * KIB, 256, GIB,
             "size of such a first message"),
    SIZE_KEY("max_unauthenticated", max_unauthenticated, 1000, 0, 10000000,
             "clients whose first message is to bring the token; 0: none may do that"),
    SIZE_KEY("max_guest_bytes", max_guest_bytes, 128 * MIB, MIB, 64 * GIB,
             "bytes of all HTTP connections before their caller is authorised, shared out among "
             "the workers"),
    SIZE_KEY("max_request_bytes", max_request_bytes, 256 * MIB, MIB, 64 * GIB,
             "bytes of all HTTP requests of authorised callers, shared out among the workers"),
    SIZE_KEY("max_host_requests", max_host_requests, 1024, 1, 1000000,
             "requests that wait for the program that embeds the server, shared out among the "
             "workers"),
    SIZE_KEY("ring_events", limits.ring_events, 1024, 1, 10000000,
             "events of one topic kept in memory"),
    SIZE_KEY("ring_bytes", limits.ring_bytes, 4 * MIB, 4 * KIB, 16 * GIB,
             "bytes of one topic kept in memory"),
    SIZE_KEY("max_ring_bytes", max_ring_bytes, 256 * MIB, 64 * KIB, 64 * GIB,
             "bytes of all topics kept in memory, shared out among the workers"),
    SIZE_KEY("max_event_bytes", limits.max_event_bytes, 2 * MIB, KIB, 256 * MIB,
             "one event; a larger one is not kept in memory, and its topic's subscriptions resync"),
    SIZE_KEY("history_events", limits.history_events, 500, 1, 100000,
             "rows of one fetch from the outbox"),
    SIZE_KEY("max_history_events", limits.max_history_events, 1000, 1, 100000,
             "events in one answer to `history` (Centrifugo's clients)"),
    SIZE_KEY("max_history_bytes", limits.max_history_bytes, MIB, KIB, 256 * MIB,
             "bytes of these events, beyond which an answer has no further one"),
    SIZE_KEY("hub_pending_bytes", limits.hub_pending_bytes, 4 * MIB, 4 * KIB, 16 * GIB,
             "bytes of one topic's events that wait for an earlier event"),
    SIZE_KEY(
        "worker_mail_bytes", limits.worker_mail_bytes, 64 * MIB, 4 * KIB, 16 * GIB,
        "bytes of events on their way to one worker; events beyond that are read from the outbox"),
    SIZE_KEY("max_signal_backlog", limits.max_signal_backlog, 16 * KIB, KIB, GIB,
             "bytes unsent to a client beyond which its conflating signals wait, and are replaced"),
    SIZE_KEY("kept_signal_bytes", limits.kept_signal_bytes, 16 * MIB, 16 * KIB, 16 * GIB,
             "bytes of conflating signals that a worker keeps for clients that are behind"),
    SIZE_KEY("max_turns", limits.max_turns, 8, 2, 1000,
             "live subscriptions of one worker that read the database at the same time"),
    U64_KEY("compare_interval_ms", limits.compare_interval_ms, 10000, 100, DAY_MS,
            "how often the topics' positions are compared with the database"),
    U64_KEY("retention.seconds", limits.retention_s, 86400, 1, YEAR_S * 100,
            "age at which events leave the outbox"),
    U64_KEY("retention.events", limits.retention_events, 10000, 1, UINT64_C(1000000000),
            "events of one topic kept in the outbox"),
    U64_KEY("trim_interval_ms", limits.trim_interval_ms, 5000, 100, DAY_MS,
            "how often the outbox is trimmed"),
    U64_KEY("drain_ms", limits.drain_ms, 5000, 0, 3600000,
            "time over which a stopping server spreads the close of its connections"),
    BOOL_KEY(
        "sql_request_id", limits.sql_request_id, false,
        "statements of handlers carry the id of the request as a comment, and are not prepared"),
    U64_KEY("topic_linger_ms", limits.topic_linger_ms, 5000, 0, DAY_MS,
            "how long a topic without subscribers keeps its events in memory"),
    SIZE_KEY("max_token_bytes", limits.max_token_bytes, 16 * KIB, 256, MIB,
             "one token that leat.jwt.verify looks at"),
    U64_KEY("jwks_refresh_s", limits.jwks_refresh_s, 600, 1, YEAR_S,
            "how often the keys of a URL are fetched"),
    U64_KEY("jwks_max_age_s", limits.jwks_max_age_s, 86400, 1, YEAR_S,
            "how long fetched keys are used while they cannot be fetched again"),
    U64_KEY("jwks_min_interval_ms", limits.jwks_min_interval_ms, 10000, 100, DAY_MS,
            "the least time between two fetches because a token names an unknown key"),
    U64_KEY("jwks_timeout_ms", limits.jwks_timeout_ms, 4000, 10, 600000,
            "how long one fetch of keys may take"),
    SIZE_KEY("jwks_max_bytes", limits.jwks_max_bytes, 256 * KIB, KIB, 16 * MIB,
             "one document with keys"),
    U64_KEY("script_budget_ms", script_budget_ms, 200, 1, 3600000,
            "how long a script may compute without waiting"),
    SIZE_KEY("script_memory_bytes", script_memory_bytes, 256 * MIB, MIB, 64 * GIB,
             "memory of one worker's scripts"),
    TEXT_KEY("require_folders", LEAT_KEY_PATHS, require_folders, "",
             "comma-separated folders where require looks besides the application's own"),
    TEXT_KEY("confine", LEAT_KEY_CONFINE, confine, "auto",
             "whether the server gives up the rights that it does not need (seccomp, landlock): "
             "auto, as far as the kernel can; on, or it does not start; off"),
    TEXT_KEY("confine_read", LEAT_KEY_PATHS, confine_read, "",
             "comma-separated files and folders that a confined server may read besides those that "
             "other keys name"),
};

#define N_KEYS (sizeof(keys) / sizeof(keys[0]))

const leat_config_key *leat_config_keys(size_t *n)
{
    *n = N_KEYS;
    return keys;
}

const leat_config_key *leat_config_find_key(const char *name)
{
    for (size_t i = 0; i < N_KEYS; i++)
        if (strcmp(keys[i].name, name) == 0)
            return &keys[i];
    return NULL;
}

bool leat_config_key_is_number(const leat_config_key *key)
{
    return key->kind == LEAT_KEY_SIZE || key->kind == LEAT_KEY_U64 || key->kind == LEAT_KEY_COUNT;
}

bool leat_config_key_is_text(const leat_config_key *key)
{
    return !leat_config_key_is_number(key) && key->kind != LEAT_KEY_BOOL;
}

void leat_config_key_variable(const leat_config_key *key, char out[LEAT_CONFIG_VARIABLE_MAX])
{
    size_t n = (size_t)snprintf(out, LEAT_CONFIG_VARIABLE_MAX, "LEAT_%s", key->name);
    for (size_t i = 0; i < n && i < LEAT_CONFIG_VARIABLE_MAX - 1; i++)
        out[i] = out[i] == '.' ? '_' : (char)toupper((unsigned char)out[i]);
}

void leat_config_set_number(leat_config *config, const leat_config_key *key, uint64_t n)
{
    char *at = (char *)config + key->offset;
    if (key->kind == LEAT_KEY_U64)
        *(uint64_t *)(void *)at = n;
    else
        *(size_t *)(void *)at = (size_t)n;
}

uint64_t leat_config_number(const leat_config *config, const leat_config_key *key)
{
    const char *at = (const char *)config + key->offset;
    return key->kind == LEAT_KEY_U64 ? *(const uint64_t *)(const void *)at
                                     : *(const size_t *)(const void *)at;
}

bool leat_config_is_default(const leat_config *config, const leat_config_key *key)
{
    uint64_t preset = key->kind == LEAT_KEY_COUNT ? config->auto_workers : key->number;
    return leat_config_number(config, key) == preset;
}

size_t leat_config_pool_size(const leat_config *config, size_t index)
{
    size_t share = config->pool_size / config->workers;
    size_t rest = config->pool_size % config->workers;
    return share > 0 ? share + (index < rest) : 1;
}

size_t leat_config_pool_sizes(const leat_config *config)
{
    return config->pool_size > config->workers ? config->pool_size : config->workers;
}

void leat_config_set_bool(leat_config *config, const leat_config_key *key, bool b)
{
    *(bool *)(void *)((char *)config + key->offset) = b;
}

static char **text_at(leat_config *config, const leat_config_key *key)
{
    return (char **)(void *)((char *)config + key->offset);
}

void leat_config_set_text(leat_config *config, const leat_config_key *key, char *text)
{
    free(*text_at(config, key));
    *text_at(config, key) = text;
}

const char *leat_config_text(const leat_config *config, const leat_config_key *key)
{
    return *(char *const *)(const void *)((const char *)config + key->offset);
}

void leat_config_set_defaults(leat_config *config)
{
    *config =
        (leat_config){.levels = leat_log_levels_all(LEAT_LOG_LEVEL_INFO), .gates = LEAT_GATE_NONE};
    for (size_t i = 0; i < N_KEYS; i++) {
        if (leat_config_key_is_number(&keys[i]))
            leat_config_set_number(config, &keys[i], keys[i].number);
        else if (keys[i].kind == LEAT_KEY_BOOL)
            leat_config_set_bool(config, &keys[i], keys[i].number != 0);
        else
            leat_config_set_text(config, &keys[i], leat_strdup(keys[i].text));
    }
}

void leat_config_free(leat_config *config)
{
    for (size_t i = 0; i < N_KEYS; i++)
        if (leat_config_key_is_text(&keys[i]))
            free(*text_at(config, &keys[i]));
    leat_host_list_close(&config->hosts);
    leat_host_list_close(&config->console_names);
    leat_networks_close(&config->trusted);
    leat_networks_close(&config->introducing);
    free(config->app_source);
    free(config->file);
    free(config->lua_dir);
    free(config->schema_dir);
    free(config->client_dir);
    free(config->web_dir);
    memset(config, 0, sizeof(*config));
}

leat_tls_files leat_config_tls_files(const leat_config *config)
{
    leat_tls_clients clients = LEAT_TLS_CLIENTS_UNASKED;
    if (config->tls_client_ca[0] != '\0')
        clients =
            config->tls_client_required ? LEAT_TLS_CLIENTS_REQUIRED : LEAT_TLS_CLIENTS_OPTIONAL;
    return (leat_tls_files){
        .certificates = config->tls_certificate,
        .keys = config->tls_key,
        .client_ca = config->tls_client_ca,
        .clients = clients,
    };
}
