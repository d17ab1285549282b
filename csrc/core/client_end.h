/* client_end.h - closing a client.
 *
 * Ownership  the client stays until its connection is gone.
 * Threads    loop thread only.
 * Units      none.
 * Errors     none.
 */
#ifndef LEAT_CORE_CLIENT_END_H
#define LEAT_CORE_CLIENT_END_H

#include "core/client_state.h"

/* Ends all that the client has, and its connection in order: with a close code of RFC 6455 or of
 * ours (an SSE response just ends). Harmless if it is closed. */
void client_close(leat_client *c, int code, const char *reason);

/* Ends all that the client has: its connection is closed or gone. */
void client_end(leat_client *c);

/* The close code that says why: 1000 if none of them does. */
int client_close_code(leat_code code);

/* Closes a stream whose subscription has ended with that code. */
void client_end_stream(leat_client *c, leat_code code);

#endif
