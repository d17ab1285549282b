/* client_plan.h - the subscriptions that the connect handler has asked for (leat.subscribe): they
 * begin when the client is let in.
 *
 * Ownership  the plan belongs to the client's session.
 * Threads    loop thread only.
 * Units      none.
 * Errors     what cannot be subscribed is left out, with a line of the log.
 *
 * A client whose protocol has a welcome that tells of them is let in when they are answered.
 */
#ifndef LEAT_CORE_CLIENT_PLAN_H
#define LEAT_CORE_CLIENT_PLAN_H

#include "core/client_state.h"

/* Begins those that the client does not have yet, and returns. */
void client_plan_follow(leat_client *c);

/* IDENTIFYING, with the new session; the client has a client_welcome. Begins them. When all are
 * answered, at once or later, the client is OPEN and gets the welcome. */
void client_plan_welcome(leat_client *c);

#endif
