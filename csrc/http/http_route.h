/* http_route.h - who answers which request: fixed endpoints, then the script's routes, then static
 * files.
 *
 * Ownership  nothing is kept.
 * Threads    loop thread of the worker.
 * Units      none.
 * Errors     answered on the connection.
 */
#ifndef LEAT_HTTP_HTTP_ROUTE_H
#define LEAT_HTTP_HTTP_ROUTE_H

#include "http/http_conn.h"

void leat_http_route(leat_http_conn *c);

/* Counts a request that a trusted proxy passes on for its client. Returns false if the client has
 * too many connections: that is answered. */
bool leat_http_route_identify(leat_http_conn *c);

#endif
