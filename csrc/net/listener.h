/* listener.h - a listening TCP socket.
 *
 * Ownership  the listener owns its handle; accepted sockets belong to on_accept.
 * Threads    loop thread only. Several listeners, one a worker, may share an address
 *            (SO_REUSEPORT).
 * Units      none.
 * Errors     opening returns UV_E* (UV_EADDRINUSE, UV_EACCES, ...); failures to accept are logged,
 *            and when descriptors are out (EMFILE) the listener rests for 100 ms instead of
 *            spinning.
 */
#ifndef LEAT_NET_LISTENER_H
#define LEAT_NET_LISTENER_H

#include <stdbool.h>
#include <stddef.h>

#include "loop/loop.h"

typedef struct leat_listener leat_listener;
/* peer is borrowed during the call. */
typedef void (*leat_listener_cb)(void *arg, uv_os_sock_t socket,
                                 const struct sockaddr_storage *peer);

/* Splits "127.0.0.1:8080", "[::1]:0" or ":8080" (all addresses). Numeric addresses only.
 * Returns 0 or LEAT_EBADMSG. */
LEAT_MUST_CHECK int leat_listener_parse(struct sockaddr_storage *out, const char *text);

/* Accepted sockets are non-blocking, close-on-exec, with TCP_NODELAY. reuse_port: join the
 * listeners that this process already has on the port. The first one of a process is opened without
 * it: it fails if anybody else has the port, and lets the later ones join. Addresses with port 0
 * are joined under the port that the first one got (leat_listener_address). */
LEAT_MUST_CHECK int leat_listener_open(leat_listener **out, leat_loop *loop,
                                       const struct sockaddr_storage *addr, bool reuse_port,
                                       leat_listener_cb on_accept, void *arg);

/* Returns a socket that listens there, non-blocking, close-on-exec, the caller's; or UV_E*. Nobody
 * else has the port. */
LEAT_MUST_CHECK int leat_listener_socket(const struct sockaddr_storage *addr);

/* Makes a socket that another program opened what _adopt expects, with the options of _open:
 * descriptor and options are changed, and *addr gets its address. Returns UV_EINVAL if it does not
 * listen for connections, UV_EAFNOSUPPORT if it is not of TCP, or what the system says. */
LEAT_MUST_CHECK int leat_listener_take_over(int socket, struct sockaddr_storage *addr);

/* For a socket that listens already, is non-blocking, and stays the caller's. */
LEAT_MUST_CHECK int leat_listener_adopt(leat_listener **out, leat_loop *loop, int socket,
                                        leat_listener_cb on_accept, void *arg);

/* Writes "127.0.0.1:40123", the address really bound. */
void leat_listener_address(const leat_listener *l, char *out, size_t size);

/* Accepts nothing for 100 ms: its owner cannot take more now. What comes meanwhile waits in the
 * kernel's queue. */
void leat_listener_rest(leat_listener *l);

/* Stops accepting at once and frees the listener; done (may be NULL) runs when the handle is gone.
 */
void leat_listener_close(leat_listener *l, void (*done)(void *arg), void *arg);

#endif
