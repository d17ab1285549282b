#include "app/config.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/slice.h"
#include "net/listener.h"
#include "script/config_file.h"

/* Its course: every key gets its default; the file's entries, then the environment, then the
 * command line replace them, each checked against the key's kind and bounds as it arrives; at the
 * end what was left empty is derived. */

#define KIB UINT64_C(1024)
#define MIB (KIB * KIB)
#define GIB (KIB * MIB)
#define DAY_MS UINT64_C(86400000)
#define YEAR_S UINT64_C(31536000)
#define ENV_NAME_MAX 64

enum kind { KIND_SIZE, KIND_U64, KIND_TEXT, KIND_PATH, KIND_ADDRESS, KIND_NETWORKS, KIND_LEVEL };

struct key {
    const char *name;
    enum kind kind;
    size_t offset;
    const char *text; /* default of a string */
    uint64_t number;  /* default of a number, and its bounds */
    uint64_t min;
    uint64_t max;
    const char *help;
};

#define SIZE_KEY(name, member, number, min, max, help)                                             \
    {                                                                                              \
        name, KIND_SIZE, offsetof(leat_config, member), NULL, number, min, max, help               \
    }
#define U64_KEY(name, member, number, min, max, help)                                              \
    {                                                                                              \
        name, KIND_U64, offsetof(leat_config, member), NULL, number, min, max, help                \
    }
#define TEXT_KEY(name, kind, member, text, help)                                                   \
    {                                                                                              \
        name, kind, offsetof(leat_config, member), text, 0, 0, 0, help                             \
    }

/* The order is that of config/leat.lua. */
static const struct key keys[] = {
    TEXT_KEY("listen", KIND_ADDRESS, listen, "127.0.0.1:8080", "address and port to serve on"),
    TEXT_KEY("database_url", KIND_TEXT, database_url, "",
             "the database, as a URL or key=value; empty: libpq's defaults"),
    TEXT_KEY("listen_url", KIND_TEXT, listen_url, "",
             "the same database, where a session lasts: for LISTEN, the log of events and leat "
             "migrate; empty: database_url"),
    TEXT_KEY("app", KIND_PATH, app, "", "the application's Lua file; empty: the example"),
    TEXT_KEY("static_dir", KIND_PATH, static_dir, "",
             "folder of static files; empty: public beside the app, if it is there"),
    TEXT_KEY("allowed_origins", KIND_TEXT, allowed_origins, "",
             "comma-separated origins whose pages may use this server; empty: its own; *: any"),
    TEXT_KEY("trusted_proxies", KIND_NETWORKS, trusted_proxies, "",
             "comma-separated addresses and networks of proxies that name their client"),
    TEXT_KEY("metrics_listen", KIND_ADDRESS, metrics_listen, "",
             "address and port for /metrics and the details of /readyz; empty: loopback peers"),
    TEXT_KEY("log_level", KIND_LEVEL, log_level, "info", "debug, info, warn or error"),
    U64_KEY("log_rate", log.rate, 10, 1, 1000000, "lines of one kind a second"),
    U64_KEY("log_burst", log.burst, 100, 1, 1000000, "lines of one kind at once"),
    U64_KEY("log_bytes_per_s", log.bytes_per_s, 64 * KIB, KIB, GIB,
            "bytes of all lines a second; errors have as many again"),
    SIZE_KEY("log_buffer_bytes", log.buffer_bytes, MIB, 64 * KIB, GIB,
             "lines that wait to be written; what exceeds them is dropped"),
    SIZE_KEY("workers", workers, 1, 1, 64, "worker threads"),
    SIZE_KEY("pool_size", pool_size, 10, 1, 1000, "database connections of one worker"),
    SIZE_KEY("pool_max_waiters", pool_max_waiters, 10000, 1, 1000000,
             "requests of one worker that may wait for a connection"),
    SIZE_KEY("pool_client_percent", pool_client_percent, 30, 1, 100,
             "share of the pool that one client may hold"),
    SIZE_KEY("pool_user_percent", pool_user_percent, 50, 1, 100,
             "share of the pool that all clients of one user may hold"),
    SIZE_KEY("pool_reserve_percent", pool_reserve_percent, 20, 1, 90,
             "share of the pool that is kept for handshakes"),
    U64_KEY("pool_idle_timeout_ms", pool_idle_timeout_ms, 60000, 100, DAY_MS,
            "an idle connection is closed after that; one stays"),
    U64_KEY("database_connect_timeout_ms", database_connect_timeout_ms, 5000, 10, 600000,
            "one attempt to connect to the database"),
    SIZE_KEY("max_statements", max_statements, 256, 0, 100000,
             "prepared statements kept on one connection; 0 prepares none"),
    U64_KEY("control_timeout_ms", limits.control_timeout_ms, 5000, 10, DAY_MS,
            "deadline of a request whose caller gave none"),
    U64_KEY("max_timeout_ms", limits.max_timeout_ms, 30000, 10, DAY_MS,
            "the longest deadline that a caller may give"),
    SIZE_KEY("max_connections", limits.max_connections, 10000, 1, 10000000,
             "connections, shared out among the workers"),
    SIZE_KEY("max_connections_per_address", max_connections_per_address, 5000, 1, 10000000,
             "connections of one address (IPv6: of a /64 network)"),
    U64_KEY("connection_rate_per_address", connection_rate_per_address, 1000, 1, 1000000,
            "new connections a second of one address"),
    U64_KEY("connection_burst_per_address", connection_burst_per_address, 5000, 1, 1000000,
            "new connections of one address at once"),
    SIZE_KEY("max_subscriptions", limits.max_subscriptions, 256, 1, 1000000,
             "subscriptions of one client"),
    SIZE_KEY("max_inflight", limits.max_inflight, 8, 1, 100000,
             "unanswered requests of one client"),
    SIZE_KEY("max_message_bytes", limits.max_message_bytes, 64 * KIB, KIB, GIB,
             "one message of a client"),
    SIZE_KEY("max_message_values", limits.max_message_values, 10000, 10, 100000000,
             "JSON values in one message of a client"),
    SIZE_KEY("max_snapshot_bytes", limits.max_snapshot_bytes, 16 * MIB, KIB, GIB,
             "one snapshot, as JSON"),
    SIZE_KEY("max_send_buffer_bytes", limits.max_send_buffer_bytes, MIB, 4 * KIB, GIB,
             "unsent bytes of one client; beyond them it is fed no more"),
    U64_KEY("slow_client_timeout_ms", limits.slow_client_timeout_ms, 15000, 100, DAY_MS,
            "a client that takes nothing for so long is closed"),
    U64_KEY("ping_interval_ms", limits.ping_interval_ms, 25000, 100, DAY_MS,
            "how often a silent client is pinged"),
    U64_KEY("pong_timeout_ms", limits.pong_timeout_ms, 10000, 100, DAY_MS,
            "how long its answer may take"),
    U64_KEY("close_timeout_ms", limits.close_timeout_ms, 5000, 10, 600000,
            "how long a closing handshake may take"),
    U64_KEY("header_timeout_ms", header_timeout_ms, 10000, 10, 600000,
            "how long a request's head may take to arrive, and its body"),
    U64_KEY("keep_alive_timeout_ms", keep_alive_timeout_ms, 75000, 10, DAY_MS,
            "an HTTP connection without requests is closed after that"),
    SIZE_KEY("max_header_bytes", max_header_bytes, 16384, 512, MIB,
             "request line and headers of one request"),
    SIZE_KEY("max_headers", max_headers, 100, 4, 10000, "headers of one request"),
    SIZE_KEY("max_body_bytes", max_body_bytes, MIB, 0, GIB, "body of one request"),
    SIZE_KEY(
        "max_guest_bytes", max_guest_bytes, 128 * MIB, MIB, 64 * GIB,
        "bytes of all HTTP connections whose caller is not let in, shared out among the workers"),
    SIZE_KEY("max_request_bytes", max_request_bytes, 256 * MIB, MIB, 64 * GIB,
             "bytes of all HTTP requests whose caller was let in, shared out among the workers"),
    SIZE_KEY("ring_events", limits.ring_events, 1024, 1, 10000000,
             "events of one topic kept in memory"),
    SIZE_KEY("ring_bytes", limits.ring_bytes, 4 * MIB, 4 * KIB, 16 * GIB,
             "bytes of one topic kept in memory"),
    SIZE_KEY("max_event_bytes", limits.max_event_bytes, 2 * MIB, KIB, 256 * MIB,
             "a larger event is not held: its topic's subscriptions resync"),
    SIZE_KEY("history_events", limits.history_events, 500, 1, 100000,
             "rows of one fetch from the outbox"),
    SIZE_KEY("hub_pending_bytes", limits.hub_pending_bytes, 4 * MIB, 4 * KIB, 16 * GIB,
             "events of one topic that wait for a hole to be filled"),
    SIZE_KEY("worker_mail_bytes", limits.worker_mail_bytes, 64 * MIB, 4 * KIB, 16 * GIB,
             "events on their way to one worker; what exceeds them is fetched"),
    SIZE_KEY("max_turns", limits.max_turns, 8, 2, 1000,
             "subscriptions of one worker that renew themselves at the same time"),
    U64_KEY("compare_interval_ms", limits.compare_interval_ms, 10000, 100, DAY_MS,
            "how often positions are compared with the database"),
    U64_KEY("retention.seconds", limits.retention_s, 86400, 1, YEAR_S * 100,
            "age at which events leave the outbox"),
    U64_KEY("retention.events", limits.retention_events, 10000, 1, UINT64_C(1000000000),
            "events of one topic kept in the outbox"),
    U64_KEY("trim_interval_ms", limits.trim_interval_ms, 5000, 100, DAY_MS,
            "how often the outbox is trimmed"),
    U64_KEY("drain_ms", limits.drain_ms, 5000, 0, 3600000,
            "a stopping server spreads its good-byes over that time"),
    U64_KEY("topic_linger_ms", limits.topic_linger_ms, 5000, 0, DAY_MS,
            "how long a topic without subscribers keeps its events in memory"),
    U64_KEY("script_budget_ms", script_budget_ms, 200, 1, 3600000,
            "how long a script may compute without a wait"),
    SIZE_KEY("script_memory_bytes", script_memory_bytes, 256 * MIB, MIB, 64 * GIB,
             "memory of one worker's scripts"),
};

#define N_KEYS (sizeof(keys) / sizeof(keys[0]))

/* Where a value came from, for messages and for the meaning of relative paths. */
struct source {
    leat_config *config;
    leat_buf *error;
    const char *label;  /* "config/leat.lua", "environment variable LEAT_APP", "--app" */
    const char *folder; /* relative paths start here; NULL: the working directory */
};

static void set_defaults(leat_config *config);
static int read_file(leat_config *config, const leat_config_sources *sources, leat_buf *error);
static int read_environment(leat_config *config, const leat_config_sources *sources,
                            leat_buf *error);
static int read_command_line(leat_config *config, const leat_config_sources *sources,
                             leat_buf *error);
static void derive(leat_config *config, const leat_config_sources *sources);
static char *join(const char *folder, const char *name);
static bool is_folder(const char *path);

int leat_config_load(leat_config *out, const leat_config_sources *sources, leat_buf *error)
{
    leat_config config = {0};
    set_defaults(&config);
    int err = read_file(&config, sources, error);
    if (err == 0)
        err = read_environment(&config, sources, error);
    if (err == 0)
        err = read_command_line(&config, sources, error);
    if (err < 0) {
        leat_config_free(&config);
        return err;
    }
    derive(&config, sources);
    *out = config;
    return 0;
}

static char **text_at(leat_config *config, const struct key *key)
{
    return (char **)(void *)((char *)config + key->offset);
}

static bool is_number(const struct key *key)
{
    return key->kind == KIND_SIZE || key->kind == KIND_U64;
}

void leat_config_free(leat_config *config)
{
    for (size_t i = 0; i < N_KEYS; i++)
        if (!is_number(&keys[i]))
            free(*text_at(config, &keys[i]));
    leat_networks_close(&config->trusted);
    free(config->file);
    free(config->lua_dir);
    free(config->schema_dir);
    memset(config, 0, sizeof(*config));
}

int leat_config_check_files(const leat_config *config, leat_buf *error)
{
    if (access(config->app, R_OK) != 0) {
        leat_buf_printf(error, "app = \"%s\": expected a readable Lua file (%s)", config->app,
                        strerror(errno));
        return LEAT_ECONFIG;
    }
    if (config->static_dir[0] != '\0' && !is_folder(config->static_dir)) {
        leat_buf_printf(error, "static_dir = \"%s\": expected a folder that exists",
                        config->static_dir);
        return LEAT_ECONFIG;
    }
    return 0;
}

/* --- setting one value --- */

static void set_number(leat_config *config, const struct key *key, uint64_t n)
{
    char *at = (char *)config + key->offset;
    if (key->kind == KIND_SIZE)
        *(size_t *)(void *)at = (size_t)n;
    else
        *(uint64_t *)(void *)at = n;
}

static void set_text(leat_config *config, const struct key *key, char *owned)
{
    free(*text_at(config, key));
    *text_at(config, key) = owned;
}

static void set_defaults(leat_config *config)
{
    for (size_t i = 0; i < N_KEYS; i++) {
        if (is_number(&keys[i]))
            set_number(config, &keys[i], keys[i].number);
        else
            set_text(config, &keys[i], leat_strdup(keys[i].text));
    }
    config->level = LEAT_LOG_LEVEL_INFO;
}

static void expectation(leat_buf *out, const struct key *key)
{
    switch (key->kind) {
    case KIND_SIZE:
    case KIND_U64:
        leat_buf_printf(out, "an integer from %" PRIu64 " to %" PRIu64, key->min, key->max);
        break;
    case KIND_TEXT:
        leat_buf_text(out, "a string");
        break;
    case KIND_PATH:
        leat_buf_text(out, "a string (a path)");
        break;
    case KIND_ADDRESS:
        leat_buf_text(out, "a string \"ADDRESS:PORT\" with a numeric address");
        break;
    case KIND_NETWORKS:
        leat_buf_text(out, "a string of addresses and networks like \"10.0.0.0/8, ::1\"");
        break;
    case KIND_LEVEL:
        leat_buf_text(out, "\"debug\", \"info\", \"warn\" or \"error\"");
        break;
    }
}

static int refuse(const struct source *source, const struct key *key, leat_slice value)
{
    char quoted[128];
    if (value.len >= sizeof(quoted) - 4)
        value.len = sizeof(quoted) - 4;
    for (size_t i = 0; i < value.len; i++)
        quoted[i] = iscntrl((unsigned char)value.at[i]) ? '?' : value.at[i];
    quoted[value.len] = '\0';
    leat_buf_printf(source->error, "%s: %s = %s: expected ", source->label, key->name, quoted);
    expectation(source->error, key);
    return LEAT_ECONFIG;
}

static bool read_networks(leat_networks *networks, const char *text)
{
    leat_networks read;
    if (leat_networks_parse(&read, text) < 0)
        return false;
    leat_networks_close(networks);
    *networks = read;
    return true;
}

static bool valid_text(leat_config *config, const struct key *key, const char *text, size_t len)
{
    struct sockaddr_storage addr;
    if (strlen(text) != len)
        return false;
    if (key->kind == KIND_ADDRESS)
        return (len == 0 && key->text[0] == '\0') || leat_listener_parse(&addr, text) == 0;
    if (key->kind == KIND_NETWORKS)
        return read_networks(&config->trusted, text);
    if (key->kind == KIND_LEVEL)
        return leat_log_level_parse(&config->level, text) == 0;
    return true;
}

static int put_text(const struct source *source, const struct key *key, leat_slice value)
{
    char *text = leat_memdup(value.at, value.len);
    if (!valid_text(source->config, key, text, value.len)) {
        leat_buf shown = LEAT_BUF_INIT;
        leat_buf_printf(&shown, "\"%s\"", text);
        int err = refuse(source, key, leat_buf_view(&shown));
        leat_buf_close(&shown);
        free(text);
        return err;
    }
    if (key->kind == KIND_PATH && text[0] != '\0' && source->folder != NULL) {
        char *absolute = join(source->folder, text);
        free(text);
        text = absolute;
    }
    set_text(source->config, key, text);
    return 0;
}

/* A number as the environment writes it. */
static int put_digits(const struct source *source, const struct key *key, const char *text)
{
    char *end = NULL;
    errno = 0;
    uint64_t n = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 || n < key->min ||
        n > key->max) {
        leat_buf shown = LEAT_BUF_INIT;
        leat_buf_printf(&shown, "\"%s\"", text);
        int err = refuse(source, key, leat_buf_view(&shown));
        leat_buf_close(&shown);
        return err;
    }
    set_number(source->config, key, n);
    return 0;
}

static int put(const struct source *source, const struct key *key, const char *text)
{
    return is_number(key) ? put_digits(source, key, text)
                          : put_text(source, key, leat_slice_of(text));
}

/* --- the file --- */

static const struct key *find(const char *name)
{
    for (size_t i = 0; i < N_KEYS; i++)
        if (strcmp(keys[i].name, name) == 0)
            return &keys[i];
    return NULL;
}

static void show(leat_buf *out, const leat_config_value *value)
{
    switch (value->type) {
    case LEAT_CONFIG_BOOL:
        leat_buf_text(out, value->boolean ? "true" : "false");
        break;
    case LEAT_CONFIG_INT:
        leat_buf_int(out, value->integer);
        break;
    case LEAT_CONFIG_FLOAT:
        leat_buf_printf(out, "%.14g", value->number);
        break;
    case LEAT_CONFIG_STRING:
        leat_buf_printf(out, "\"%.*s\"", (int)value->string.len, value->string.at);
        break;
    case LEAT_CONFIG_OTHER:
        leat_buf_printf(out, "(a %.*s)", (int)value->string.len, value->string.at);
        break;
    }
}

/* What to say of a name that is no key: it may be the table of some keys, or a value where a table
 * should be. */
static int refuse_unknown(const struct source *source, const char *name, leat_slice shown)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < N_KEYS; i++)
        if (strncmp(keys[i].name, name, len) == 0 && keys[i].name[len] == '.') {
            leat_buf_printf(source->error, "%s: %s = %.*s: expected a table", source->label, name,
                            (int)shown.len, shown.at);
            return LEAT_ECONFIG;
        }
    leat_buf_printf(
        source->error,
        "%s: unknown key %s = %.*s: expected one of the keys that leat serve --help lists",
        source->label, name, (int)shown.len, shown.at);
    return LEAT_ECONFIG;
}

static int on_entry(void *arg, const char *name, const leat_config_value *value)
{
    const struct source *source = arg;
    const struct key *key = find(name);
    if (key != NULL && !is_number(key) && value->type == LEAT_CONFIG_STRING)
        return put_text(source, key, value->string);
    if (key != NULL && is_number(key) && value->type == LEAT_CONFIG_INT && value->integer >= 0 &&
        (uint64_t)value->integer >= key->min && (uint64_t)value->integer <= key->max) {
        set_number(source->config, key, (uint64_t)value->integer);
        return 0;
    }
    leat_buf shown = LEAT_BUF_INIT;
    show(&shown, value);
    int err = key != NULL ? refuse(source, key, leat_buf_view(&shown))
                          : refuse_unknown(source, name, leat_buf_view(&shown));
    leat_buf_close(&shown);
    return err;
}

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return leat_strdup(".");
    return slash == path ? leat_strdup("/") : leat_memdup(path, (size_t)(slash - path));
}

static char *join(const char *folder, const char *name)
{
    if (name[0] == '/')
        return leat_strdup(name);
    leat_buf b = LEAT_BUF_INIT;
    leat_buf_printf(&b, "%s%s%s", folder, strcmp(folder, "/") == 0 ? "" : "/", name);
    return leat_buf_detach(&b, NULL);
}

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The source tree's own file, else the installed one; NULL if there is neither. */
static char *default_file(const char *home)
{
    char *file = join(home, "config/leat.lua");
    if (access(file, F_OK) != 0) {
        free(file);
        file = leat_strdup(LEAT_CONFIG_FILE);
    }
    if (access(file, F_OK) != 0) {
        free(file);
        file = NULL;
    }
    return file;
}

static int read_file(leat_config *config, const leat_config_sources *sources, leat_buf *error)
{
    config->file = sources->file != NULL ? leat_strdup(sources->file) : default_file(sources->home);
    if (config->file == NULL)
        return 0;
    if (access(config->file, R_OK) != 0) {
        leat_buf_printf(error, "--config = \"%s\": expected a readable Lua file (%s)", config->file,
                        strerror(errno));
        return LEAT_ECONFIG;
    }
    char *folder = folder_of(config->file);
    struct source source = {config, error, config->file, folder};
    int err = leat_config_file_read(config->file, on_entry, &source, error);
    free(folder);
    return err < 0 ? LEAT_ECONFIG : 0;
}

/* --- the environment and the command line --- */

static void env_name(char out[ENV_NAME_MAX], const char *key)
{
    size_t n = (size_t)snprintf(out, ENV_NAME_MAX, "LEAT_%s", key);
    for (size_t i = 0; i < n && i < ENV_NAME_MAX - 1; i++)
        out[i] = out[i] == '.' ? '_' : (char)toupper((unsigned char)out[i]);
}

static int read_variable(leat_config *config, const struct key *key, const char *name,
                         const leat_config_sources *sources, leat_buf *error)
{
    const char *text = sources->getenv(name);
    if (text == NULL || text[0] == '\0')
        return 0; /* set to nothing is how deployment tools unset a variable */
    char label[ENV_NAME_MAX + 32];
    snprintf(label, sizeof(label), "environment variable %s", name);
    struct source source = {config, error, label, NULL};
    return put(&source, key, text);
}

static int read_environment(leat_config *config, const leat_config_sources *sources,
                            leat_buf *error)
{
    /* The variable that many hosts set comes first, so that Leat's own wins. */
    int err = read_variable(config, find("database_url"), "DATABASE_URL", sources, error);
    for (size_t i = 0; i < N_KEYS && err == 0; i++) {
        char name[ENV_NAME_MAX];
        env_name(name, keys[i].name);
        err = read_variable(config, &keys[i], name, sources, error);
    }
    return err;
}

static int read_option(leat_config *config, const char *key, const char *option, const char *value,
                       leat_buf *error)
{
    if (value == NULL)
        return 0;
    struct source source = {config, error, option, NULL};
    return put(&source, find(key), value);
}

static int read_command_line(leat_config *config, const leat_config_sources *sources,
                             leat_buf *error)
{
    int err = read_option(config, "listen", "--listen", sources->listen, error);
    if (err == 0)
        err = read_option(config, "database_url", "--database", sources->database_url, error);
    if (err == 0)
        err = read_option(config, "listen_url", "--database", sources->database_url, error);
    if (err == 0)
        err = read_option(config, "listen_url", "--listen-url", sources->listen_url, error);
    if (err == 0)
        err = read_option(config, "app", "--app", sources->app, error);
    return err;
}

/* --- what was left empty --- */

static void derive(leat_config *config, const leat_config_sources *sources)
{
    config->lua_dir = join(sources->home, "lua");
    config->schema_dir = join(sources->home, "config/schema");
    if (config->listen_url[0] == '\0')
        set_text(config, find("listen_url"), leat_strdup(config->database_url));
    if (config->app[0] == '\0')
        set_text(config, find("app"), join(config->lua_dir, "apps/chat/app.lua"));
    if (config->static_dir[0] == '\0') {
        char *folder = folder_of(config->app);
        char *public = join(folder, "public");
        free(folder);
        if (is_folder(public))
            set_text(config, find("static_dir"), public);
        else
            free(public);
    }
}

/* --- for people --- */

void leat_config_describe(leat_buf *out)
{
    for (size_t i = 0; i < N_KEYS; i++) {
        const struct key *key = &keys[i];
        char name[ENV_NAME_MAX];
        env_name(name, key->name);
        leat_buf_printf(out, "  %s = ", key->name);
        if (is_number(key))
            leat_buf_printf(out, "%" PRIu64, key->number);
        else
            leat_buf_printf(out, "\"%s\"", key->text);
        leat_buf_printf(out, "  (%s)\n      %s\n", name, key->help);
    }
}

const char *leat_config_key(size_t i)
{
    return i < N_KEYS ? keys[i].name : NULL;
}
