/* config_reload.h - what a running server takes over of a configuration that was read anew.
 *
 * Ownership  everything is borrowed during the call.
 * Threads    the engine's.
 * Units      as in config.h.
 * Errors     none.
 *
 * A live key is one that is looked at whenever it is needed, and that no other thread shares.
 */
#ifndef LEAT_ENGINE_CONFIG_RELOAD_H
#define LEAT_ENGINE_CONFIG_RELOAD_H

#include <stdbool.h>

#include "engine/config.h"

bool leat_config_key_is_live(const leat_config_key *key);

/* What a server runs with. At its start that is its configuration. */
typedef struct leat_config_live {
    leat_limits limits;
    leat_log_levels levels;
} leat_config_live;

/* Takes the live keys of fresh over into live. Logs each key that has another value: what it is
 * now, or, if it is not live, that it needs a restart; started is what the server began with. */
void leat_config_take_over(leat_config_live *live, const leat_config *started,
                           const leat_config *fresh);

#endif
