/* A value's course: every key gets its default. Then the file's entries, the environment and the
 * command line replace the defaults, in this order. Each value is checked against the kind and the
 * bounds of its key when it arrives (put_text, put_digits, on_entry). At the end, `derive` fills
 * what was left empty, and raises what would be too little. */
#include "engine/config_load.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/gate.h"
#include "base/mem.h"
#include "base/slice.h"
#include "net/listener.h"
#include "script/config_file.h"
#include "wire/http.h"
#include "wire/http_head.h"

/* A client may send so many of its largest messages. */
#define MESSAGES_PER_S UINT64_C(8)
#define MESSAGES_AT_ONCE UINT64_C(32)

/* The value of control for no socket at all. */
#define NO_CONTROL "off"

/* Where a value came from, for messages and for the meaning of relative paths. */
struct source {
    leat_config *config;
    leat_buf *error;
    const char *label;  /* "config/leat.lua", "environment variable LEAT_APP", "--app" */
    const char *folder; /* relative paths start here; NULL: the working directory */
};

static int read_file(leat_config *config, const leat_config_sources *sources, leat_buf *error);
static int read_environment(leat_config *config, const leat_config_sources *sources,
                            leat_buf *error);
static int read_command_line(leat_config *config, const leat_config_sources *sources,
                             leat_buf *error);
static int read_gates(leat_config *config, const leat_config_sources *sources, leat_buf *error);
static int read_settings(leat_config *config, const leat_config_sources *sources, leat_buf *error);
static void derive(leat_config *config, const leat_config_sources *sources);
static char *join(const char *folder, const char *name);
static bool is_folder(const char *path);

int leat_config_load(leat_config *out, const leat_config_sources *sources, leat_buf *error)
{
    leat_config config;
    leat_config_set_defaults(&config);
    int err = read_file(&config, sources, error);
    if (err == 0)
        err = read_environment(&config, sources, error);
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
    if (config->static_dir[0] != '\0' && !is_folder(config->static_dir)) {
        leat_buf_printf(error, "static_dir = \"%s\": expected a folder that exists",
                        config->static_dir);
        return LEAT_ECONFIG;
    }
    return 0;
}

/* --- one value --- */

static void expectation(leat_buf *out, const leat_config_key *key)
{
    switch (key->kind) {
    case LEAT_KEY_SIZE:
    case LEAT_KEY_U64:
        leat_buf_printf(out, "an integer from %" PRIu64 " to %" PRIu64, key->min, key->max);
        break;
    case LEAT_KEY_BOOL:
        leat_buf_text(out, "true or false");
        break;
    case LEAT_KEY_TEXT:
        leat_buf_text(out, "a string");
        break;
    case LEAT_KEY_HEADER:
        leat_buf_text(out, "a string of one line, without control characters");
        break;
    case LEAT_KEY_PATH:
        leat_buf_text(out, "a string (a path)");
        break;
    case LEAT_KEY_PATHS:
        leat_buf_text(out, "a string (paths, separated by commas)");
        break;
    case LEAT_KEY_SOCKET:
        leat_buf_printf(out, "an absolute path of at most %d bytes, or \"off\"",
                        LEAT_CONFIG_SOCKET_MAX);
        break;
    case LEAT_KEY_ADDRESS:
        leat_buf_text(out, "a string \"ADDRESS:PORT\" with a numeric address");
        break;
    case LEAT_KEY_NETWORKS:
        leat_buf_text(out, "a string of addresses and networks like \"10.0.0.0/8, ::1\"");
        break;
    case LEAT_KEY_HOSTS:
        leat_buf_text(out, "a string of names like \"example.org, *.example.org, [::1]:8080\"");
        break;
    case LEAT_KEY_ORIGINS:
        leat_buf_text(out, "a string of origins like \"https://example.org, "
                           "http://localhost:3000\", or \"*\"");
        break;
    case LEAT_KEY_LEVEL:
        leat_buf_text(out, "\"debug\", \"info\", \"warn\" or \"error\"");
        break;
    case LEAT_KEY_FORMAT:
        leat_buf_text(out, "\"logfmt\" or \"json\"");
        break;
    case LEAT_KEY_CONFINE:
        leat_buf_text(out, "\"auto\", \"on\" or \"off\"");
        break;
    }
}

/* The line of a file where a key is given: the first one that begins with its name and '='. 0:
 * there is none, as where a file computes its keys. */
static int line_of(const char *path, const char *key)
{
    const char *dot = strrchr(key, '.');
    const char *name = dot != NULL ? dot + 1 : key;
    size_t len = strlen(name), size = 0;
    char *line = NULL;
    int found = 0, number = 0;
    FILE *f = fopen(path, "re");
    while (f != NULL && found == 0 && getline(&line, &size, f) >= 0) {
        const char *at = line + strspn(line, " \t{,");
        at += strncmp(at, "return", 6) == 0 ? 6 + strspn(at + 6, " \t{") : 0;
        number++;
        if (strncmp(at, name, len) == 0 && at[len + strspn(at + len, " \t")] == '=')
            found = number;
    }
    if (f != NULL)
        fclose(f);
    free(line);
    return found;
}

/* Begins a message: where the value stands. */
static void say_where(const struct source *source, const char *key)
{
    int line = source->folder != NULL ? line_of(source->label, key) : 0;
    leat_buf_text(source->error, source->label);
    if (line > 0)
        leat_buf_printf(source->error, ":%d", line);
    leat_buf_text(source->error, ": ");
}

static int refuse(const struct source *source, const leat_config_key *key, leat_slice value)
{
    char quoted[128];
    if (value.len >= sizeof(quoted) - 4)
        value.len = sizeof(quoted) - 4;
    for (size_t i = 0; i < value.len; i++)
        quoted[i] = iscntrl((unsigned char)value.at[i]) ? '?' : value.at[i];
    quoted[value.len] = '\0';
    say_where(source, key->name);
    leat_buf_printf(source->error, "%s = %s: expected ", key->name, quoted);
    expectation(source->error, key);
    return LEAT_ECONFIG;
}

static bool read_networks(leat_config *config, const leat_config_key *key, const char *text)
{
    leat_networks read;
    leat_networks *networks = key->offset == offsetof(leat_config, proxy_protocol_from)
                                  ? &config->introducing
                                  : &config->trusted;
    if (leat_networks_parse(&read, text) < 0)
        return false;
    leat_networks_close(networks);
    *networks = read;
    return true;
}

static bool read_confine_mode(leat_confine_mode *mode, const char *text)
{
    static const char *const names[] = {"auto", "on", "off"}; /* in the order of the enum */
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(text, names[i]) == 0) {
            *mode = (leat_confine_mode)i;
            return true;
        }
    return false;
}

/* The default tells whether a key may be without an address, and then how that is written. */
static bool is_no_address(const leat_config_key *key, const char *text)
{
    return strcmp(text, key->text[0] == '\0' ? "" : LEAT_CONFIG_NO_LISTEN) == 0;
}

static bool read_hosts(leat_config *config, const char *text)
{
    leat_host_list read;
    if (leat_host_list_parse(&read, text) < 0)
        return false;
    leat_host_list_close(&config->hosts);
    config->hosts = read;
    return true;
}

static bool valid_text(leat_config *config, const leat_config_key *key, const char *text,
                       size_t len)
{
    struct sockaddr_storage addr;
    if (strlen(text) != len)
        return false;
    if (key->kind == LEAT_KEY_ADDRESS)
        return is_no_address(key, text) || leat_listener_parse(&addr, text) == 0;
    if (key->kind == LEAT_KEY_SOCKET)
        return len == 0 || strcmp(text, NO_CONTROL) == 0 ||
               (text[0] == '/' && len <= LEAT_CONFIG_SOCKET_MAX);
    if (key->kind == LEAT_KEY_NETWORKS)
        return read_networks(config, key, text);
    if (key->kind == LEAT_KEY_HEADER)
        return leat_http_head_value_ok((leat_slice){text, len});
    if (key->kind == LEAT_KEY_HOSTS)
        return read_hosts(config, text);
    if (key->kind == LEAT_KEY_ORIGINS)
        return leat_host_list_origins_ok(text);
    if (key->kind == LEAT_KEY_LEVEL)
        return leat_log_level_parse(&config->level, text) == 0;
    if (key->kind == LEAT_KEY_FORMAT)
        return leat_log_format_parse(&config->format, text) == 0;
    if (key->kind == LEAT_KEY_CONFINE)
        return read_confine_mode(&config->confine_mode, text);
    return true;
}

/* Returns the path, or each of the paths, as it is from the working directory. */
static char *make_absolute(const char *folder, const leat_config_key *key, const char *text)
{
    leat_buf out = LEAT_BUF_INIT;
    leat_slice path;
    if (folder == NULL)
        return leat_strdup(text);
    if (key->kind == LEAT_KEY_PATH)
        return join(folder, text);
    for (leat_slice rest = leat_slice_of(text); leat_http_list_next(&rest, &path);) {
        char *item = leat_memdup(path.at, path.len);
        char *absolute = join(folder, item);
        leat_buf_printf(&out, "%s%s", out.len > 0 ? "," : "", absolute);
        free(absolute);
        free(item);
    }
    return out.len == 0 ? leat_strdup("") : leat_buf_detach(&out, NULL);
}

static int put_text(const struct source *source, const leat_config_key *key, leat_slice value)
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
    if (key->kind == LEAT_KEY_PATHS || (key->kind == LEAT_KEY_PATH && text[0] != '\0')) {
        char *absolute = make_absolute(source->folder, key, text);
        free(text);
        text = absolute;
    }
    leat_config_set_text(source->config, key, text);
    return 0;
}

/* A number as the environment writes it. */
static int put_digits(const struct source *source, const leat_config_key *key, const char *text)
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
    leat_config_set_number(source->config, key, n);
    return 0;
}

/* A switch as the environment writes it. */
static int put_switch(const struct source *source, const leat_config_key *key, const char *text)
{
    bool yes = strcmp(text, "true") == 0;
    if (!yes && strcmp(text, "false") != 0)
        return refuse(source, key, leat_slice_of(text));
    leat_config_set_bool(source->config, key, yes);
    return 0;
}

static int put(const struct source *source, const leat_config_key *key, const char *text)
{
    if (key->kind == LEAT_KEY_BOOL)
        return put_switch(source, key, text);
    return leat_config_key_is_number(key) ? put_digits(source, key, text)
                                          : put_text(source, key, leat_slice_of(text));
}

/* --- the file --- */

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
    size_t len = strlen(name), n = 0;
    const leat_config_key *keys = leat_config_keys(&n);
    bool is_table = false;
    for (size_t i = 0; i < n && !is_table; i++)
        is_table = strncmp(keys[i].name, name, len) == 0 && keys[i].name[len] == '.';
    say_where(source, name);
    leat_buf_printf(source->error, "%s%s = %.*s: expected %s", is_table ? "" : "unknown key ", name,
                    (int)shown.len, shown.at,
                    is_table ? "a table" : "one of the keys that leat serve --help lists");
    return LEAT_ECONFIG;
}

static int on_entry(void *arg, const char *name, const leat_config_value *value)
{
    const struct source *source = arg;
    const leat_config_key *key = leat_config_find_key(name);
    if (key != NULL && leat_config_key_is_text(key) && value->type == LEAT_CONFIG_STRING)
        return put_text(source, key, value->string);
    if (key != NULL && key->kind == LEAT_KEY_BOOL && value->type == LEAT_CONFIG_BOOL) {
        leat_config_set_bool(source->config, key, value->boolean);
        return 0;
    }
    if (key != NULL && leat_config_key_is_number(key) && value->type == LEAT_CONFIG_INT &&
        value->integer >= 0 && (uint64_t)value->integer >= key->min &&
        (uint64_t)value->integer <= key->max) {
        leat_config_set_number(source->config, key, (uint64_t)value->integer);
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
    struct source source = {config, error, config->file, folder};
    int err = leat_config_file_read(config->file, on_entry, &source, error);
    free(folder);
    return err < 0 ? LEAT_ECONFIG : 0;
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
    struct source source = {config, error, label, NULL};
    return put(&source, key, text);
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
    for (size_t i = 0; i < n && err == 0; i++) {
        char name[LEAT_CONFIG_VARIABLE_MAX];
        leat_config_key_variable(&keys[i], name);
        err = read_variable(config, &keys[i], name, sources, error);
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
    struct source source = {config, error, option, NULL};
    return put(&source, leat_config_find_key(key), value);
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
    struct source source = {config, error, "leat_set", NULL};
    int err = 0;
    for (size_t i = 0; i < sources->n_settings && err == 0; i++) {
        const leat_config_setting *s = &sources->settings[i];
        err = put(&source, leat_config_find_key(s->key), s->value);
        if (err == 0 && strcmp(s->key, "database_url") == 0)
            err = put(&source, leat_config_find_key("listen_url"), "");
    }
    for (size_t i = 0; i < sources->n_settings && err == 0; i++)
        if (strcmp(sources->settings[i].key, "listen_url") == 0)
            err = put(&source, leat_config_find_key("listen_url"), sources->settings[i].value);
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
    if (is_open || strcmp(config->control, NO_CONTROL) == 0)
        leat_config_set_text(config, leat_config_find_key("control"), leat_buf_detach(&path, NULL));
    leat_buf_close(&path);
}

static void derive(leat_config *config, const leat_config_sources *sources)
{
    leave_room_for_messages(&config->limits);
    config->embedded = sources->embedded;
    find_control(config, sources);
    if (sources->app_source != NULL)
        config->app_source = leat_strdup(sources->app_source);
    config->lua_dir = join(sources->home, "lua");
    config->schema_dir = join(sources->home, "config/schema");
    config->client_dir = join(sources->home, "clients/js/src");
    if (config->listen_url[0] == '\0')
        leat_config_set_text(config, leat_config_find_key("listen_url"),
                             leat_strdup(config->database_url));
    if (config->app[0] == '\0' && !sources->embedded)
        leat_config_set_text(config, leat_config_find_key("app"),
                             join(config->lua_dir, "apps/chat/app.lua"));
    if (config->app[0] == '\0' && config->app_source != NULL)
        leat_config_set_text(config, leat_config_find_key("app"), leat_strdup("app_source"));
    else if (config->static_dir[0] == '\0') {
        char *folder = folder_of(config->app);
        char *public = join(folder, "public");
        free(folder);
        if (is_folder(public))
            leat_config_set_text(config, leat_config_find_key("static_dir"), public);
        else
            free(public);
    }
}
