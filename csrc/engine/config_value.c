/* config_value.c - leat_config_put and leat_config_put_entry: a value is checked (put_text,
 * put_digits, put_switch), and set, or refused with a message that says where it stands. */
#include "engine/config_value.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/config_near.h"
#include "net/listener.h"
#include "wire/http.h"
#include "wire/http_head.h"

char *leat_config_join(const char *folder, const char *name)
{
    if (name[0] == '/')
        return leat_strdup(name);
    leat_buf b = LEAT_BUF_INIT;
    leat_buf_printf(&b, "%s%s%s", folder, strcmp(folder, "/") == 0 ? "" : "/", name);
    return leat_buf_detach(&b, NULL);
}

static void expectation(leat_buf *out, const leat_config_key *key)
{
    switch (key->kind) {
    case LEAT_KEY_COUNT:
        leat_buf_text(out, "\"" LEAT_CONFIG_AUTO "\" or ");
        /* fall through */
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
    case LEAT_KEY_DATABASE:
        leat_buf_text(out, "a URL like \"postgresql://USER@HOST/DATABASE\", or \"key=value …\"");
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
    case LEAT_KEY_PLACE:
        leat_buf_printf(out,
                        "a string \"ADDRESS:PORT\" with a numeric address, or an absolute path of "
                        "at most %d bytes",
                        LEAT_CONFIG_SOCKET_MAX);
        break;
    case LEAT_KEY_SECRET:
        leat_buf_printf(out, "a string of at least %d visible ASCII characters without blanks",
                        LEAT_CONFIG_SECRET_MIN);
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
        leat_buf_text(out, "\"debug\", \"info\", \"warn\" or \"error\", and behind it levels of "
                           "subsystems, as in \"info,pg=debug\"");
        break;
    case LEAT_KEY_FORMAT:
        leat_buf_text(out, "\"logfmt\" or \"json\"");
        break;
    case LEAT_KEY_CONFINE:
        leat_buf_text(out, "\"auto\", \"on\" or \"off\"");
        break;
    }
}

/* True if the name and '=' stand in the line, before a comment. */
static bool assigns(char *line, const char *name, size_t len)
{
    char *comment = strstr(line, "--");
    if (comment != NULL)
        *comment = '\0';
    for (const char *at = strstr(line, name); at != NULL; at = strstr(at + 1, name)) {
        bool begins = at == line || (!isalnum((unsigned char)at[-1]) && at[-1] != '_');
        if (begins && at[len + strspn(at + len, " \t")] == '=')
            return true;
    }
    return false;
}

/* The line of a file where a key is given: the first one with its name and '='; that of
 * "retention.seconds" is looked for from that of "retention" on. 0: there is none, as where a file
 * computes its keys. */
static int line_of(const char *path, const char *key)
{
    char name[200];
    size_t size = 0;
    char *line = NULL;
    int found = 0, number = 0;
    FILE *f = fopen(path, "re");
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(key, "."), key);
    while (f != NULL && found == 0 && getline(&line, &size, f) >= 0) {
        number++;
        while (found == 0 && assigns(line, name, strlen(name))) {
            key += strcspn(key, ".");
            found = *key == '\0' ? number : 0;
            key += *key == '.';
            snprintf(name, sizeof(name), "%.*s", (int)strcspn(key, "."), key);
        }
    }
    if (f != NULL)
        fclose(f);
    free(line);
    return found;
}

/* Begins a message: where the value stands. */
static void say_where(const leat_config_source *source, const char *key)
{
    int line = source->folder != NULL ? line_of(source->label, key) : 0;
    leat_buf_text(source->error, source->label);
    if (line > 0)
        leat_buf_printf(source->error, ":%d", line);
    leat_buf_text(source->error, ": ");
}

static int refuse(const leat_config_source *source, const leat_config_key *key, leat_slice value)
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

static bool read_hosts(leat_config *config, const leat_config_key *key, const char *text)
{
    leat_host_list read;
    leat_host_list *hosts = key->offset == offsetof(leat_config, console_hosts)
                                ? &config->console_names
                                : &config->hosts;
    if (leat_host_list_parse(&read, text) < 0)
        return false;
    leat_host_list_close(hosts);
    *hosts = read;
    return true;
}

static bool is_socket_path(const char *text, size_t len)
{
    return text[0] == '/' && len <= LEAT_CONFIG_SOCKET_MAX;
}

/* A secret stands in a header (RFC 6750 §2.1), and must be hard to guess. */
static bool secret_ok(const char *text, size_t len)
{
    bool visible = true;
    for (size_t i = 0; i < len; i++)
        visible = visible && text[i] > ' ' && text[i] < 0x7f;
    return visible && (len == 0 || len >= LEAT_CONFIG_SECRET_MIN);
}

/* libpq takes a URL with another scheme for the name of a database. */
static bool database_ok(const char *text)
{
    const char *scheme_end = strstr(text, "://");
    const char *equals = strchr(text, '=');
    return scheme_end == NULL || (equals != NULL && equals < scheme_end) ||
           strncmp(text, "postgresql://", 13) == 0 || strncmp(text, "postgres://", 11) == 0;
}

/* Takes over what the text means, where a key has a parsed form. Returns false, and changes
 * nothing, if the text is not of the key's kind. */
static bool parse_text(leat_config *config, const leat_config_key *key, const char *text,
                       size_t len)
{
    struct sockaddr_storage addr;
    if (strlen(text) != len)
        return false;
    if (key->kind == LEAT_KEY_ADDRESS)
        return is_no_address(key, text) || leat_listener_parse(&addr, text) == 0;
    if (key->kind == LEAT_KEY_SOCKET)
        return len == 0 || strcmp(text, LEAT_CONFIG_NO_CONTROL) == 0 || is_socket_path(text, len);
    if (key->kind == LEAT_KEY_PLACE)
        return len == 0 || is_socket_path(text, len) || leat_listener_parse(&addr, text) == 0;
    if (key->kind == LEAT_KEY_SECRET)
        return secret_ok(text, len);
    if (key->kind == LEAT_KEY_DATABASE)
        return database_ok(text);
    if (key->kind == LEAT_KEY_NETWORKS)
        return read_networks(config, key, text);
    if (key->kind == LEAT_KEY_HEADER)
        return leat_http_head_value_ok((leat_slice){text, len});
    if (key->kind == LEAT_KEY_HOSTS)
        return read_hosts(config, key, text);
    if (key->kind == LEAT_KEY_ORIGINS)
        return leat_host_list_origins_ok(text);
    if (key->kind == LEAT_KEY_LEVEL)
        return leat_log_levels_parse(&config->levels, text) == 0;
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
        return leat_config_join(folder, text);
    for (leat_slice rest = leat_slice_of(text); leat_http_list_next(&rest, &path);) {
        char *item = leat_memdup(path.at, path.len);
        char *absolute = leat_config_join(folder, item);
        leat_buf_printf(&out, "%s%s", out.len > 0 ? "," : "", absolute);
        free(absolute);
        free(item);
    }
    return out.len == 0 ? leat_strdup("") : leat_buf_detach(&out, NULL);
}

static int put_text(const leat_config_source *source, const leat_config_key *key, leat_slice value)
{
    char *text = leat_memdup(value.at, value.len);
    if (!parse_text(source->config, key, text, value.len)) {
        leat_buf shown = LEAT_BUF_INIT;
        if (key->kind == LEAT_KEY_SECRET || key->kind == LEAT_KEY_DATABASE)
            leat_buf_text(&shown, "(not shown)");
        else
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
static int put_digits(const leat_config_source *source, const leat_config_key *key,
                      const char *text)
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
static int put_switch(const leat_config_source *source, const leat_config_key *key,
                      const char *text)
{
    bool yes = strcmp(text, "true") == 0;
    if (!yes && strcmp(text, "false") != 0)
        return refuse(source, key, leat_slice_of(text));
    leat_config_set_bool(source->config, key, yes);
    return 0;
}

int leat_config_put(const leat_config_source *source, const leat_config_key *key, const char *text)
{
    if (key->kind == LEAT_KEY_BOOL)
        return put_switch(source, key, text);
    if (key->kind == LEAT_KEY_COUNT && strcmp(text, LEAT_CONFIG_AUTO) == 0) {
        leat_config_set_number(source->config, key, 0);
        return 0;
    }
    return leat_config_key_is_number(key) ? put_digits(source, key, text)
                                          : put_text(source, key, leat_slice_of(text));
}

/* --- of a file --- */

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

/* Refuses a name that is no key. It may be the table of some keys, with a value where a table
 * should be. */
static int refuse_unknown(const leat_config_source *source, const char *name, leat_slice shown)
{
    size_t len = strlen(name), n = 0;
    const leat_config_key *keys = leat_config_keys(&n);
    bool is_table = false;
    for (size_t i = 0; i < n && !is_table; i++)
        is_table = strncmp(keys[i].name, name, len) == 0 && keys[i].name[len] == '.';
    say_where(source, name);
    leat_buf_printf(source->error, "%s%s = %.*s: expected ", is_table ? "" : "unknown key ", name,
                    (int)shown.len, shown.at);
    const leat_config_key *near = leat_config_near_key(name);
    if (is_table)
        leat_buf_text(source->error, "a table");
    else if (near != NULL)
        leat_buf_printf(source->error, "%s, or another of the keys that leat serve --help lists",
                        near->name);
    else
        leat_buf_text(source->error, "one of the keys that leat serve --help lists");
    return LEAT_ECONFIG;
}

int leat_config_put_entry(const leat_config_source *source, const char *name,
                          const leat_config_value *value)
{
    const leat_config_key *key = leat_config_find_key(name);
    if (key != NULL && leat_config_key_is_text(key) && value->type == LEAT_CONFIG_STRING)
        return put_text(source, key, value->string);
    if (key != NULL && key->kind == LEAT_KEY_COUNT && value->type == LEAT_CONFIG_STRING &&
        leat_slice_is(value->string, LEAT_CONFIG_AUTO)) {
        leat_config_set_number(source->config, key, 0);
        return 0;
    }
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
