/* client.h - the subscribers: each a connection that comes and goes, and verifies every message
 * as it comes. Two thirds use the WebSocket of many topics, the others stream routes: half of those
 * a WebSocket, half Server-Sent Events. Beside them are those of an SDK (sdk.h).
 *
 * Ownership  clients_new makes them all; clients_close ends them.
 * Threads    main thread; clients_cut and clients_pause: any.
 * Units      milliseconds; percent of the clients.
 * Errors     a broken promise is a violation; a lost connection is made anew.
 */
#ifndef TORTURE_CLIENT_H
#define TORTURE_CLIENT_H

#include "torture.h"

clients *clients_new(torture *t);

/* From now on by their own will, and by the fault-thrower's. */
void clients_cut(clients *c, unsigned percent);
void clients_pause(clients *c, unsigned percent, unsigned for_ms);

/* No more moves of their own: those that are subscribed stay so, and read. */
void clients_rest(clients *c);
/* Whether every request is answered and every subscription is at its topic's end, as the ledger has
 * loaded it. report: tells of those that are not, as violations. */
bool clients_settled(clients *c, bool report);
/* Subscriptions that are live. */
unsigned clients_live(const clients *c);
/* All connections end, half of them by RST. */
void clients_close(clients *c);
bool clients_gone(const clients *c);
void clients_free(clients *c);

#endif
