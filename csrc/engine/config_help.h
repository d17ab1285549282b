/* config_help.h - the keys of the configuration, as `leat serve --help` lists them.
 *
 * Ownership  nothing is kept.
 * Threads    any.
 * Units      as in config.h.
 * Errors     none.
 */
#ifndef LEAT_ENGINE_CONFIG_HELP_H
#define LEAT_ENGINE_CONFIG_HELP_H

#include "base/buf.h"

/* Appends two lines for every key: its name, default, variable, bounds, whether it is live
 * (config_reload.h), and its meaning. */
void leat_config_help(leat_buf *out);

#endif
