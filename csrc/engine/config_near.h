/* config_near.h - the key that somebody has probably meant.
 *
 * Ownership  the table of keys is static.
 * Threads    any.
 * Units      none.
 * Errors     NULL: no key is near.
 */
#ifndef LEAT_ENGINE_CONFIG_NEAR_H
#define LEAT_ENGINE_CONFIG_NEAR_H

#include "engine/config.h"

/* name: of no key. */
const leat_config_key *leat_config_near_key(const char *name);

/* name: of a variable. NULL, too, for the variable of a key, and for one that does not begin with
 * LEAT_. */
const leat_config_key *leat_config_near_variable(const char *name);

#endif
