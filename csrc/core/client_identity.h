/* client_identity.h - a client whose identity comes after its connection: in its first message, or
 * in another protocol's greeting.
 *
 * Ownership  see client.h.
 * Threads    loop thread only.
 * Units      absolute milliseconds.
 * Errors     a client that is not let in is closed.
 *
 * GUEST: nobody knows who it is. Its first message must bring a token, within
 * authenticate_timeout_ms. IDENTIFYING: the connect handler looks at the token; what the client
 * sends meanwhile waits. Then it is OPEN, as if it had brought the token with its request.
 */
#ifndef LEAT_CORE_CLIENT_IDENTITY_H
#define LEAT_CORE_CLIENT_IDENTITY_H

#include "core/client_request.h"
#include "core/client_state.h"

/* Makes a new client a GUEST. on_end(arg) is called once, when it is one no longer: it is OPEN, or
 * closed. */
void client_identity_await(leat_client *c, void (*on_end)(void *arg), void *arg);

/* GUEST -> IDENTIFYING: runs the connect handler with the token. answer gets the verdict, and ends
 * with one of the two functions below. */
void client_identity_begin(leat_client *c, const leat_message *m, uint64_t deadline_ms,
                           client_answer_cb answer);

/* Makes the session, which it takes, that of the client, with what it allows. */
void client_identity_replace(leat_client *c, leat_session *session);

/* IDENTIFYING -> OPEN, with the session that it has. */
void client_identity_accept(leat_client *c);

/* The client is not let in, and is closed. */
void client_identity_refuse(leat_client *c, const leat_failure *why);

/* True if the identity has an end, which has passed. */
bool client_identity_expired(const leat_session *session);

#endif
