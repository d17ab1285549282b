/* A value's course: every key gets its default. Then the file's entries, the environment and the
 * command line replace the defaults, in this order. Each value is checked against the kind and the
 * bounds of its key when it arrives (config_value.c). At the end, `derive` fills what was left
 * empty, and raises what would be too little. */
#include "engine/config_load.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/gate.h"
#include "base/mem.h"
#include "base/slice.h"
#include "engine/config_value.h"
#include "net/listener.h"
#include "script/config_file.h"

/* A client may send so many of its largest messages. */
#define MESSAGES_PER_S UINT64_C(8)
#define MESSAGES_AT_ONCE UINT64_C(32)

static int read_file(leat_config *config, const leat_config_sources *sources, leat_buf *error);
static int read_environment(leat_config *config, const leat_config_sources *sources,
                            leat_buf *error);
static int read_command_line(leat_config *config, const leat_config_sources *sources,
                             leat_buf *error);
static int read_gates(leat_config *config, const leat_config_sources *sources, leat_buf *error);
static int read_settings(leat_config *config, const leat_config_sources *sources, leat_buf *error);
static void derive(leat_config *config, const leat_config_sources *sources);
static bool is_folder(const char *path);

int leat_config_load(leat_config *out, const leat_config_sources *sources, leat_buf *error)
{
    leat_config config;
    leat_config_set_defaults(&config);
    int err = read_file(&config, sources, error);
    int environment_err = read_environment(&config, sources, error);
    if (err == 0)
        err = environment_err;
    if (err == 0)
        err = read_command_line(&config, sources, error);
    if (err == 0)
        err = read_gates(&config, sources, error);
    if (err == 0)
        err = read_settings(&config, sources, error);
    if (err < 0) {
        leat_config_free(&config);
        return err;
    }
    derive(&config, sources);
    *out = config;
    return 0;
}

/* Returns false for a console that other machines reach without a token: whoever reaches it sees
 * everything. */
static bool console_ok(const leat_config *config, leat_buf *error)
{
    struct sockaddr_storage addr;
    const char *place = config->console_listen;
    if (config->console_token[0] != '\0' || place[0] == '\0' || place[0] == '/')
        return true;
    leat_ip ip;
    if (leat_listener_parse(&addr, place) == 0 && leat_ip_of(&ip, &addr) &&
        leat_ip_is_loopback(&ip))
        return true;
    leat_buf_printf(error,
                    "console_listen = \"%s\": other machines reach this address, so console_token "
                    "has to be set",
                    place);
    return false;
}

int leat_config_check_files(const leat_config *config, leat_buf *error)
{
    if (strcmp(config->listen, LEAT_CONFIG_NO_LISTEN) == 0 && config->tls_listen[0] == '\0' &&
        !config->embedded) {
        leat_buf_text(error, "listen = \"none\": expected an address there or in tls_listen");
        return LEAT_ECONFIG;
    }
    if (config->app_source == NULL && access(config->app, R_OK) != 0) {
        leat_buf_printf(error, "app = \"%s\": expected a readable Lua file (%s)", config->app,
                        strerror(errno));
        return LEAT_ECONFIG;
    }
    if (!console_ok(config, error))
        return LEAT_ECONFIG;
    if (config->static_dir[0] != '\0' && !is_folder(config->static_dir)) {
        leat_buf_printf(error, "static_dir = \"%s\": expected a folder that exists",
                        config->static_dir);
        return LEAT_ECONFIG;
    }
    return 0;
}

/* --- the file --- */

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return leat_strdup(".");
    return slash == path ? leat_strdup("/") : leat_memdup(path, (size_t)(slash - path));
}

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The source tree's own file, else the installed one; NULL if there is neither. */
static char *default_file(const char *home)
{
    char *file = leat_config_join(home, "config/leat.lua");
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

/* Begins another line, if there is a message already: each mistake has a line. */
static void begin_message(leat_buf *error)
{
    if (error->len > 0)
        leat_buf_char(error, '\n');
}

typedef struct entries {
    leat_config_source source;
    size_t n_refused;
} entries;

/* Goes on after an entry that is refused, so that all of them are told at once. */
static int take_entry(void *arg, const char *name, const leat_config_value *value)
{
    entries *e = arg;
    size_t len = e->source.error->len;
    begin_message(e->source.error);
    if (leat_config_put_entry(&e->source, name, value) < 0)
        e->n_refused++;
    else
        e->source.error->len = len;
    return 0;
}

static int read_file(leat_config *config, const leat_config_sources *sources, leat_buf *error)
{
    if (sources->file != NULL)
        config->file = leat_strdup(sources->file);
    else if (!sources->embedded)
        config->file = default_file(sources->home);
    if (config->file == NULL)
        return 0;
    if (access(config->file, R_OK) != 0) {
        leat_buf_printf(error, "--config = \"%s\": expected a readable Lua file (%s)", config->file,
                        strerror(errno));
        return LEAT_ECONFIG;
    }
    char *folder = folder_of(config->file);
    entries e = {.source = {config, error, config->file, folder}};
    leat_buf why = LEAT_BUF_INIT;
    int err = leat_config_file_read(config->file, take_entry, &e, &why);
    if (err < 0) {
        begin_message(error);
        leat_buf_slice(error, leat_buf_view(&why));
    }
    leat_buf_close(&why);
    free(folder);
    return err < 0 || e.n_refused > 0 ? LEAT_ECONFIG : 0;
}

/* --- the environment and the command line --- */

static int read_variable(leat_config *config, const leat_config_key *key, const char *name,
                         const leat_config_sources *sources, leat_buf *error)
{
    const char *text = sources->getenv(name);
    if (text == NULL || text[0] == '\0')
        return 0; /* set to nothing is how deployment tools unset a variable */
    char label[LEAT_CONFIG_VARIABLE_MAX + 32];
    snprintf(label, sizeof(label), "environment variable %s", name);
    leat_config_source source = {config, error, label, NULL};
    size_t len = error->len;
    begin_message(error);
    int err = leat_config_put(&source, key, text);
    if (err == 0)
        error->len = len;
    return err;
}

static int read_environment(leat_config *config, const leat_config_sources *sources,
                            leat_buf *error)
{
    if (sources->getenv == NULL)
        return 0;
    /* The variable that many hosts set comes first, so that Leat's own wins. */
    int err =
        read_variable(config, leat_config_find_key("database_url"), "DATABASE_URL", sources, error);
    size_t n = 0;
    const leat_config_key *keys = leat_config_keys(&n);
    for (size_t i = 0; i < n; i++) {
        char name[LEAT_CONFIG_VARIABLE_MAX];
        leat_config_key_variable(&keys[i], name);
        int failed = read_variable(config, &keys[i], name, sources, error);
        if (failed < 0)
            err = failed;
    }
    return err;
}

/* No key has this: the socket is inherited from leat test, which alone sets the variable. */
static int read_gates(leat_config *config, const leat_config_sources *sources, leat_buf *error)
{
    const char *text = sources->getenv == NULL ? NULL : sources->getenv("LEAT_GATES");
    if (text == NULL || text[0] == '\0')
        return 0;
    char *end = NULL;
    long fd = strtol(text, &end, 10);
    bool valid = *end == '\0' && fd > STDERR_FILENO && fd <= INT_MAX;
    if (!valid || !leat_gate_is_socket((int)fd) || config->workers != 1) {
        leat_buf_printf(error,
                        "environment variable LEAT_GATES = %s: expected a socket that leat "
                        "test has opened, and one worker",
                        text);
        return LEAT_ECONFIG;
    }
    config->gates = (int)fd;
    return 0;
}

static int read_option(leat_config *config, const char *key, const char *option, const char *value,
                       leat_buf *error)
{
    if (value == NULL)
        return 0;
    leat_config_source source = {config, error, option, NULL};
    return leat_config_put(&source, leat_config_find_key(key), value);
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

/* A database that is set is also the one to listen to, unless that is set, too. */
static int read_settings(leat_config *config, const leat_config_sources *sources, leat_buf *error)
{
    leat_config_source source = {config, error, "leat_set", NULL};
    int err = 0;
    for (size_t i = 0; i < sources->n_settings && err == 0; i++) {
        const leat_config_setting *s = &sources->settings[i];
        err = leat_config_put(&source, leat_config_find_key(s->key), s->value);
        if (err == 0 && strcmp(s->key, "database_url") == 0)
            err = leat_config_put(&source, leat_config_find_key("listen_url"), "");
    }
    for (size_t i = 0; i < sources->n_settings && err == 0; i++)
        if (strcmp(sources->settings[i].key, "listen_url") == 0)
            err = leat_config_put(&source, leat_config_find_key("listen_url"),
                                  sources->settings[i].value);
    return err;
}

/* --- what was left empty, or is too little --- */

static void at_least(uint64_t *n, uint64_t least)
{
    if (*n < least)
        *n = least;
}

/* Whoever allows large messages means that they can be sent. */
static void leave_room_for_messages(leat_limits *limits)
{
    at_least(&limits->allowance.bytes.per_s, MESSAGES_PER_S * limits->max_message_bytes);
    at_least(&limits->allowance.bytes.burst, MESSAGES_AT_ONCE * limits->max_message_bytes);
}

/* systemd names the folders that it has made for a service, separated by colons. */
static void find_control(leat_config *config, const leat_config_sources *sources)
{
    leat_buf path = LEAT_BUF_INIT;
    const char *folder = sources->getenv == NULL ? NULL : sources->getenv("RUNTIME_DIRECTORY");
    bool is_open = config->control[0] == '\0' && folder != NULL && folder[0] == '/';
    if (is_open)
        leat_buf_printf(&path, "%.*s/control", (int)strcspn(folder, ":"), folder);
    if (path.len > LEAT_CONFIG_SOCKET_MAX)
        path.len = 0;
    if (is_open || strcmp(config->control, LEAT_CONFIG_NO_CONTROL) == 0)
        leat_config_set_text(config, leat_config_find_key("control"), leat_buf_detach(&path, NULL));
    leat_buf_close(&path);
}

/* One for each core that this process may run on, but no more than leave each worker two of the
 * connections of pool_size. With a single one, nothing is kept for handshakes while a client's call
 * has it. */
static size_t auto_workers(const leat_config *config)
{
    const leat_config_key *key = leat_config_find_key("workers");
    cpu_set_t cores;
    size_t n = sched_getaffinity(0, sizeof(cores), &cores) == 0 ? (size_t)CPU_COUNT(&cores) : 1;
    size_t most = config->pool_size / 2;
    n = n < most ? n : most;
    n = n < key->max ? n : key->max;
    return n > 0 ? n : 1;
}

static void derive(leat_config *config, const leat_config_sources *sources)
{
    leave_room_for_messages(&config->limits);
    config->embedded = sources->embedded;
    config->auto_workers = config->embedded ? 1 : auto_workers(config);
    if (config->workers == 0)
        config->workers = config->auto_workers;
    find_control(config, sources);
    if (sources->app_source != NULL)
        config->app_source = leat_strdup(sources->app_source);
    config->lua_dir = leat_config_join(sources->home, "lua");
    config->schema_dir = leat_config_join(sources->home, "config/schema");
    config->client_dir = leat_config_join(sources->home, "clients/js/src");
    config->web_dir = leat_config_join(sources->home, "web");
    if (config->listen_url[0] == '\0')
        leat_config_set_text(config, leat_config_find_key("listen_url"),
                             leat_strdup(config->database_url));
    if (config->app[0] == '\0' && !sources->embedded)
        leat_config_set_text(config, leat_config_find_key("app"),
                             leat_config_join(config->lua_dir, "apps/chat/app.lua"));
    if (config->app[0] == '\0' && config->app_source != NULL)
        leat_config_set_text(config, leat_config_find_key("app"), leat_strdup("app_source"));
    else if (config->static_dir[0] == '\0') {
        char *folder = folder_of(config->app);
        char *public = leat_config_join(folder, "public");
        free(folder);
        if (is_folder(public))
            leat_config_set_text(config, leat_config_find_key("static_dir"), public);
        else
            free(public);
    }
}
