/* opening.h - what HTTP leaves to a peer: the connection, after an upgrade or the head of a
 * response that does not end.
 *
 * Ownership  the holder owns conn and rest. A function that takes an opening takes both.
 * Threads    loop thread of the worker.
 * Units      window sizes are exponents of 2; milliseconds.
 * Errors     none.
 */
#ifndef LEAT_NET_OPENING_H
#define LEAT_NET_OPENING_H

#include "base/buf.h"
#include "net/conn.h"

typedef struct leat_opening {
    leat_conn *conn;     /* the 101, or the head of the response, is queued on it */
    leat_buf rest;       /* the bytes that came behind the request's head */
    uint8_t window_bits; /* of the client's inflater; 0: permessage-deflate was not agreed */
    uint64_t alive_ms;   /* SSE: how often it gets a sign of life; 0: each ping_interval_ms */
} leat_opening;

#endif
