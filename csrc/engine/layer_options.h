/* layer_options.h - what the configuration means for the limits of an address, for the pools, and
 * for the hub.
 *
 * Ownership  results borrow the texts of the configuration.
 * Threads    any.
 * Units      those of the options.
 * Errors     none.
 */
#ifndef LEAT_ENGINE_LAYER_OPTIONS_H
#define LEAT_ENGINE_LAYER_OPTIONS_H

#include "engine/config.h"
#include "hub/hub.h"
#include "net/address_limit.h"
#include "pg/pg_pool.h"

leat_address_limits leat_layer_options_address(const leat_config *config);

/* The pool of the worker with number i. */
leat_pg_pool_options leat_layer_options_pool(const leat_config *config, size_t i);

/* The caller adds metrics and loop. Reads the folder of the schema. */
leat_hub_options leat_layer_options_hub(const leat_config *config);

#endif
