/* http_handshake.h - requests that the scripts have a say in: /ws and their routes, from the guard
 * to the answer.
 *
 * Ownership  a handshake belongs to its connection's task and frees itself when the request is
 *            answered or cancelled.
 * Threads    loop thread of the worker.
 * Units      milliseconds.
 * Errors     a refusal is a plain HTTP answer, before any upgrade.
 */
#ifndef LEAT_HTTP_HTTP_HANDSHAKE_H
#define LEAT_HTTP_HTTP_HANDSHAKE_H

#include "http/http_conn.h"

/* /ws: the connect handler, then 101 and a client. */
void leat_http_handshake_client(leat_http_conn *c);

/* The same for a client that speaks Centrifugo's protocol. */
void leat_http_handshake_centrifuge(leat_http_conn *c);

/* A route of the scripts, of any kind but NONE. */
void leat_http_handshake_route(leat_http_conn *c, const leat_route_match *match);

/* False if pages of the request's origin may not use this server: then that is answered. */
bool leat_http_handshake_check_origin(leat_http_conn *c);

#endif
