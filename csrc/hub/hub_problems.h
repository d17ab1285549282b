/* hub_problems.h - asks the database now and then whether every change still reaches the log.
 *
 * Ownership  none.
 * Threads    the hub's.
 * Units      milliseconds.
 * Errors     none: a question that is not answered is asked again.
 */
#ifndef LEAT_HUB_HUB_PROBLEMS_H
#define LEAT_HUB_HUB_PROBLEMS_H

#include "hub/hub_state.h"

void hub_problems_init(leat_hub *h);
void hub_problems_start(leat_hub *h);
void hub_problems_stop(leat_hub *h);

#endif
