/* tail.h - `tail`: the connection goes to a worker, and becomes a client that follows one topic.
 *
 * Ownership  the connection leaves the control. The client is the worker's, as every client.
 * Threads    leat_tail_begin: the loop of the control socket.
 * Units      seq; seconds since 1970.
 * Errors     answered as JSON, before the stream begins.
 *
 * The stream is that of a stream route (Server-Sent Events). The operator is authorised
 * already: no handler runs, and a snapshot has no data, only its position. A line of the answer's
 * head, LEAT_TAIL_ALIVE, says in milliseconds how often a sign of life comes while nothing else
 * does.
 */
#ifndef LEAT_CONTROL_TAIL_H
#define LEAT_CONTROL_TAIL_H

#include "engine/engine.h"
#include "http/http_conn.h"

#define LEAT_TAIL_ALIVE "Leat-Alive-Ms"

/* Takes the request over if it asks for that: GET with path "/tail", and the query
 * ?name=TOPIC[&epoch=EPOCH&seq=SEQ]. path is the request's, or its end behind the console's own.
 * The stream ends at ends_s, as an identity that expires; 0: never. */
bool leat_tail_begin(leat_engine *engine, leat_http_conn *conn, leat_slice path, int64_t ends_s);

#endif
