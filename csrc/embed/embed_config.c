/* embed_config.c - the configuration of a server in a program: leat_set keeps texts, leat_start has
 * them read (embed_config_load), together with the file. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "embed/embed.h"
#include "engine/home.h"

typedef struct embed_setting {
    leat_list link;
    char *key;
    char *value;
} embed_setting;

static void replace(char **text, const char *value)
{
    free(*text);
    *text = leat_strdup(value);
}

static void add_setting(leat_server *s, const char *key, const char *value)
{
    embed_setting *setting = leat_calloc(1, sizeof(*setting));
    setting->key = leat_strdup(key);
    setting->value = leat_strdup(value);
    leat_list_push(&s->settings, &setting->link);
}

int leat_set(leat_server *s, const char *key, const char *value, leat_error *error)
{
    embed_check(!s->started, "leat_set", "only before leat_start");
    if (key == NULL || value == NULL)
        return embed_fail(error, "config", "%s has no value", key == NULL ? "a key" : key);
    if (strcmp(key, "home") == 0)
        replace(&s->home, value);
    else if (strcmp(key, "app_source") == 0)
        replace(&s->app_source, value);
    else if (leat_config_find_key(key) == NULL)
        return embed_fail(error, "config", "unknown key %s: docs/configuration.md lists them", key);
    else
        add_setting(s, key, value);
    return 0;
}

int leat_set_file(leat_server *s, const char *path, leat_error *error)
{
    embed_check(!s->started, "leat_set_file", "only before leat_start");
    if (path == NULL)
        return embed_fail(error, "config", "the file has no name");
    replace(&s->file, path);
    return 0;
}

static size_t count_settings(const leat_server *s)
{
    size_t n = 0;
    for (const leat_list *l = s->settings.next; l != &s->settings; l = l->next)
        n++;
    return n;
}

static int read_config(leat_server *s, const char *home, leat_buf *error)
{
    leat_config_setting *settings = leat_calloc(count_settings(s) + 1, sizeof(*settings));
    size_t n = 0;
    for (leat_list *l = s->settings.next; l != &s->settings; l = l->next) {
        const embed_setting *setting = LEAT_CONTAINER_OF(l, embed_setting, link);
        settings[n++] = (leat_config_setting){setting->key, setting->value};
    }
    int err = leat_config_load(&s->config,
                               &(leat_config_sources){
                                   .home = home,
                                   .file = s->file,
                                   .embedded = true,
                                   .settings = settings,
                                   .n_settings = n,
                                   .app_source = s->app_source,
                               },
                               error);
    free(settings);
    return err < 0 ? err : leat_config_check_files(&s->config, error);
}

static void free_loaded(leat_server *s)
{
    if (s->config.lua_dir != NULL)
        leat_config_free(&s->config);
    s->config = (leat_config){.lua_dir = NULL};
}

int embed_config_load(leat_server *s, leat_error *error)
{
    leat_buf text = LEAT_BUF_INIT;
    char *home = s->home == NULL ? NULL : leat_strdup(s->home);
    int err = home == NULL ? leat_home_find(&home, &text) : 0;
    free_loaded(s); /* of a start that got no thread */
    if (err == 0)
        err = read_config(s, home, &text);
    if (err < 0)
        embed_fail(error, "config", "%.*s", (int)text.len, text.at);
    if (err < 0)
        free_loaded(s);
    free(home);
    leat_buf_close(&text);
    return err < 0 ? -1 : 0;
}

static void free_settings(leat_server *s)
{
    for (leat_list *l = leat_list_shift(&s->settings); l != NULL;
         l = leat_list_shift(&s->settings)) {
        embed_setting *setting = LEAT_CONTAINER_OF(l, embed_setting, link);
        free(setting->key);
        free(setting->value);
        free(setting);
    }
}

void embed_config_free(leat_server *s)
{
    free_loaded(s);
    free_settings(s);
    free(s->file);
    free(s->home);
    free(s->app_source);
}
