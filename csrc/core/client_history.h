/* client_history.h - a client asks for stored events of a topic that it is subscribed to.
 *
 * Ownership  a request belongs to its client's list, until it is answered or cancelled.
 * Threads    loop thread only.
 * Units      absolute milliseconds.
 * Errors     the client gets an error.
 *
 * The answer has nothing that the subscription would not have given: it ends before a revocation
 * that the cursor has not passed. A topic with an `event` hook has no history for clients, because
 * stored events have not passed the hook.
 */
#ifndef LEAT_CORE_CLIENT_HISTORY_H
#define LEAT_CORE_CLIENT_HISTORY_H

#include "core/client_state.h"

/* The client's protocol has history. The message is answered by deadline_ms. */
void client_history_begin(leat_client *c, const leat_message *m, uint64_t deadline_ms);

/* None of them is answered any more. */
void client_history_cancel_all(leat_list *requests);

#endif
