/* config_load.h - reads the configuration from the file, the environment and the command line.
 *
 * Ownership  the caller frees a loaded configuration with leat_config_free; sources are borrowed.
 * Threads    main thread.
 * Units      as in config.h.
 * Errors     LEAT_ECONFIG and one message that names the key, the value and what was expected.
 *
 * The command line wins over the environment, the environment over the file, the file over the
 * default. A relative path in the file is relative to the folder of the file; one of the
 * environment or the command line is relative to the working directory.
 */
#ifndef LEAT_ENGINE_CONFIG_LOAD_H
#define LEAT_ENGINE_CONFIG_LOAD_H

#include "base/buf.h"
#include "base/err.h"
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "engine/config.h"

/* One key, and its value as the environment would write it. */
typedef struct leat_config_setting {
    const char *key; /* of leat_config_find_key */
    const char *value;
} leat_config_setting;

typedef struct leat_config_sources {
    const char *home;         /* folder that holds lua/ and config/schema/ */
    const char *file;         /* --config; NULL: the default file, if there is one */
    const char *listen;       /* --listen and so on; NULL: not given */
    const char *database_url; /* also in place of listen_url, unless that is given, too */
    const char *listen_url;
    const char *app;
    char *(*getenv)(const char *name); /* NULL: the environment is not read */
    /* Of a program that embeds the server. There is no default file then, and no default app. */
    bool embedded;
    const leat_config_setting *settings; /* they win over all else */
    size_t n_settings;
    const char *app_source; /* the text of the app; NULL: `app` is its file */
} leat_config_sources;

/* Loads all sources. On an error *out is empty and needs no freeing; error has a line for each
 * mistake. */
LEAT_MUST_CHECK int leat_config_load(leat_config *out, const leat_config_sources *sources,
                                     leat_buf *error);

/* Checks what serving needs beyond right values: that the app and the static folder are there. */
LEAT_MUST_CHECK int leat_config_check_files(const leat_config *config, leat_buf *error);

#endif
