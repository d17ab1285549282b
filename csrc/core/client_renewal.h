/* client_renewal.h - a client renews the right to a topic, with another token: the topic's handler
 * runs again, and its decision is the answer.
 *
 * Ownership  a request belongs to its client's list, until it is answered or cancelled.
 * Threads    loop thread only.
 * Units      absolute milliseconds; seconds since 1970.
 * Errors     the client gets an error.
 *
 * If the handler refuses, the subscription ends. The client is told of its end first; the answer
 * then only says that there is no subscription to renew.
 */
#ifndef LEAT_CORE_CLIENT_RENEWAL_H
#define LEAT_CORE_CLIENT_RENEWAL_H

#include "core/client_state.h"

/* The client's protocol has renewals. The message is answered by deadline_ms. */
void client_renewal_begin(leat_client *c, const leat_message *m, uint64_t deadline_ms);

/* The handler has allowed the subscription, until until_s; 0: for ever. Answers the request for
 * that topic, if one is under way. */
void client_renewal_granted(leat_client *c, leat_slice topic, int64_t until_s);
/* The subscription has ended, by whomever. Answers the request likewise. */
void client_renewal_ended(leat_client *c, leat_slice topic);

/* Frees the requests unanswered: the client is closed. */
void client_renewal_cancel_all(leat_list *requests);

#endif
