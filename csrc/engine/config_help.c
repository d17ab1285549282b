/* config_help.c - one line for each key of the table in config.c. */
#include "engine/config_help.h"

#include <inttypes.h>

#include "engine/config.h"
#include "engine/config_reload.h"

/* As it stands in a configuration file. */
static void print_default(leat_buf *out, const leat_config_key *key)
{
    if (key->kind == LEAT_KEY_COUNT)
        leat_buf_text(out, "\"" LEAT_CONFIG_AUTO "\"");
    else if (leat_config_key_is_number(key))
        leat_buf_printf(out, "%" PRIu64, key->number);
    else if (key->kind == LEAT_KEY_BOOL)
        leat_buf_text(out, key->number != 0 ? "true" : "false");
    else
        leat_buf_printf(out, "\"%s\"", key->text);
}

void leat_config_help(leat_buf *out)
{
    size_t n = 0;
    const leat_config_key *keys = leat_config_keys(&n);
    for (size_t i = 0; i < n; i++) {
        const leat_config_key *key = &keys[i];
        char variable[LEAT_CONFIG_VARIABLE_MAX];
        leat_config_key_variable(key, variable);
        leat_buf_printf(out, "  %s = ", key->name);
        print_default(out, key);
        leat_buf_printf(out, "  (%s", variable);
        if (leat_config_key_is_number(key))
            leat_buf_printf(out, ", %" PRIu64 " to %" PRIu64, key->min, key->max);
        if (leat_config_key_is_live(key))
            leat_buf_text(out, ", live");
        leat_buf_printf(out, ")\n      %s\n", key->help);
    }
}
