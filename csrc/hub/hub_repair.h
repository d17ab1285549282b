/* hub_repair.h - reads the outbox for the topics that want it (hub_want.h), and compares all topics
 * with it now and then.
 *
 * Ownership  at most one fetch runs; the hub owns it.
 * Threads    the hub's.
 * Units      milliseconds.
 * Errors     a fetch that fails is repeated with back-off.
 */
#ifndef LEAT_HUB_HUB_REPAIR_H
#define LEAT_HUB_HUB_REPAIR_H

#include "hub/hub_state.h"

void hub_repair_init(leat_hub *h);
void hub_repair_start(leat_hub *h);
void hub_repair_stop(leat_hub *h);

#endif
