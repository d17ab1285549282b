/* config_file.h - reads a configuration file, a Lua file that returns a table. Callers see no Lua.
 *
 * Ownership  strings are borrowed during the callback.
 * Threads    any, one at a time.
 * Units      none.
 * Errors     LEAT_ECONFIG with a message for people.
 */
#ifndef LEAT_SCRIPT_CONFIG_FILE_H
#define LEAT_SCRIPT_CONFIG_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

typedef struct leat_config_value {
    enum {
        LEAT_CONFIG_BOOL,
        LEAT_CONFIG_INT,
        LEAT_CONFIG_FLOAT,
        LEAT_CONFIG_STRING,
        LEAT_CONFIG_OTHER
    } type;
    bool boolean;
    int64_t integer;
    double number;
    leat_slice string; /* STRING; for OTHER the name of its Lua type */
} leat_config_value;

/* key: dotted for nested tables, "retention.events"; entries come sorted by key. A table that is
 * empty or a list is a value, of type OTHER. Returns 0, or a negative error that ends the walk. */
typedef int (*leat_config_file_cb)(void *arg, const char *key, const leat_config_value *value);

/* Runs the file in an environment with os.getenv and nothing that changes anything; calls cb for
 * every entry. Returns what cb returned if that was negative (error is cb's affair then). */
LEAT_MUST_CHECK int leat_config_file_read(const char *path, leat_config_file_cb cb, void *arg,
                                          leat_buf *error);

#endif
