/* config_value.h - one value of the configuration: checked against the kind and the bounds of its
 * key, and set.
 *
 * Ownership  everything is borrowed; what is set is copied.
 * Threads    main thread.
 * Units      as in config.h.
 * Errors     LEAT_ECONFIG, and a message that names the place, the key, the value and what was
 *            expected.
 */
#ifndef LEAT_ENGINE_CONFIG_VALUE_H
#define LEAT_ENGINE_CONFIG_VALUE_H

#include "base/buf.h"
#include "base/err.h"
#include "engine/config.h"
#include "script/config_file.h"

/* The value of control for no socket at all. */
#define LEAT_CONFIG_NO_CONTROL "off"

/* Where a value came from, for messages and for the meaning of relative paths. */
typedef struct leat_config_source {
    leat_config *config;
    leat_buf *error;
    const char *label;  /* "config/leat.lua", "environment variable LEAT_APP", "--app" */
    const char *folder; /* relative paths start here; NULL: the working directory */
} leat_config_source;

/* A value as the environment or the command line writes it. */
LEAT_MUST_CHECK int leat_config_put(const leat_config_source *source, const leat_config_key *key,
                                    const char *text);

/* A value of a file. */
LEAT_MUST_CHECK int leat_config_put_entry(const leat_config_source *source, const char *name,
                                          const leat_config_value *value);

/* Returns FOLDER/NAME. Owned: free() frees it. */
char *leat_config_join(const char *folder, const char *name);

#endif
