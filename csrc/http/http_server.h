/* http_server.h - the HTTP server of one worker: takes accepted sockets, and closes them at the
 * end.
 *
 * Ownership  its state is the leat_http_side, which the worker embeds and fills in.
 * Threads    loop thread of the worker.
 * Units      none.
 * Errors     a socket that cannot be taken is closed.
 */
#ifndef LEAT_HTTP_HTTP_SERVER_H
#define LEAT_HTTP_HTTP_SERVER_H

#include "http/http_side.h"

/* Takes an accepted socket. */
void leat_http_server_accept(leat_http_side *side, uv_os_sock_t socket,
                             const struct sockaddr_storage *addr, leat_http_door door);

/* Takes a socket on which the program that embeds the server has read a request already: first is
 * all that it has read. Borrowed. The socket is non-blocking. If the request opens no stream, the
 * connection ends with its answer. */
void leat_http_server_hand_over(leat_http_side *side, uv_os_sock_t socket,
                                const struct sockaddr_storage *addr, leat_slice first);

/* Closes every connection: at once, or when the answer that is being sent has left. side->on_quiet
 * tells when the last is gone; it is not called if there are none. */
void leat_http_server_close(leat_http_side *side);

#endif
