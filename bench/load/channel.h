/* channel.h - TLS of a client of the load, over its socket.
 *
 * Ownership  a channel is its client's; the context is the crowd's.
 * Threads    the clients' thread.
 * Units      bytes.
 * Errors     as recv and send: -1 with errno, EAGAIN where the socket is not ready.
 */
#ifndef BENCH_CHANNEL_H
#define BENCH_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef struct ssl_st channel;
typedef struct ssl_ctx_st channel_context;

channel_context *channel_context_new(void);
void channel_context_free(channel_context *context);

channel *channel_new(channel_context *context, int fd);
void channel_free(channel *c);

/* Goes on with the handshake. Returns true once it is over. */
bool channel_open(channel *c);
ssize_t channel_receive(channel *c, char *bytes, size_t size);
ssize_t channel_send(channel *c, const char *bytes, size_t n);

#endif
