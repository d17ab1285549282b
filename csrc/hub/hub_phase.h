/* hub_phase.h - whether the hub is ready to deliver: every worker and other threads are told.
 *
 * Ownership  none.
 * Threads    the hub's.
 * Units      none.
 * Errors     none.
 */
#ifndef LEAT_HUB_HUB_PHASE_H
#define LEAT_HUB_HUB_PHASE_H

#include "hub/hub_state.h"

void hub_phase_set(leat_hub *h, hub_phase phase);

#endif
