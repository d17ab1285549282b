/* proxy_reader.h - reads the PROXY header off a connection that has just come from a proxy, before
 * anything else is read from it: TLS, HTTP.
 *
 * Ownership  a reader owns its socket until on_done, which gets it; it frees itself.
 * Threads    loop thread only.
 * Units      absolute milliseconds on the loop clock.
 * Errors     a verdict of on_done; the reader closes the socket right after it.
 *
 * It takes exactly the header's bytes off the socket, however they come.
 */
#ifndef LEAT_NET_PROXY_READER_H
#define LEAT_NET_PROXY_READER_H

#include "base/list.h"
#include "loop/loop.h"
#include "wire/proxy.h"

typedef struct leat_proxy_reader leat_proxy_reader;

typedef enum leat_proxy_verdict {
    LEAT_PROXY_OK,
    LEAT_PROXY_MALFORMED, /* what came is no PROXY header */
    LEAT_PROXY_LATE,
    LEAT_PROXY_GONE, /* the peer has ended the connection, or leat_proxy_reader_cancel did */
} leat_proxy_verdict;

/* Called once, not from inside leat_proxy_reader_new. With LEAT_PROXY_OK, socket is the callee's,
 * and header is borrowed; otherwise socket is -1 and header NULL. */
typedef void (*leat_proxy_reader_cb)(void *arg, leat_proxy_verdict verdict, int socket,
                                     const leat_proxy_header *header);

/* Takes an accepted socket. Fails (UV_E*) with the socket closed, and without a call of on_done. */
LEAT_MUST_CHECK int leat_proxy_reader_new(leat_proxy_reader **out, leat_loop *loop, int socket,
                                          uint64_t deadline_ms, leat_proxy_reader_cb on_done,
                                          void *arg);

/* Closes the connection; on_done is called from inside. */
void leat_proxy_reader_cancel(leat_proxy_reader *r);

#endif
