/* hub_attend.h - calls leat_internal.attend, which returns the history and the timeline of
 * positions.
 *
 * Ownership  none.
 * Threads    the hub's.
 * Units      milliseconds.
 * Errors     a call that fails is repeated with back-off.
 */
#ifndef LEAT_HUB_HUB_ATTEND_H
#define LEAT_HUB_HUB_ATTEND_H

#include "hub/hub_state.h"

void hub_attend_init(leat_hub *h);
/* The broker is connected: the hub is HUB_UNCONFIRMED until a call has succeeded. */
void hub_attend_start(leat_hub *h);
/* The broker is not connected, or the hub stops. */
void hub_attend_stop(leat_hub *h);

/* The server refused a read, since the history is not confirmed: nothing goes on before it is. */
void hub_attend_unconfirmed(leat_hub *h);
/* The history, or the key of the announcements, may be another one: calls, at most once a second.
 */
void hub_attend_check(leat_hub *h);

#endif
