/* hub_trim.h - keeps the outbox short: every trim_interval_ms, old events go.
 *
 * Ownership  none.
 * Threads    the hub's.
 * Units      milliseconds.
 * Errors     a batch that fails is logged, and repeated after trim_interval_ms.
 */
#ifndef LEAT_HUB_HUB_TRIM_H
#define LEAT_HUB_HUB_TRIM_H

#include "hub/hub_state.h"

void hub_trim_init(leat_hub *h);
void hub_trim_start(leat_hub *h);
void hub_trim_stop(leat_hub *h);

#endif
