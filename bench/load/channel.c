#include "load/channel.h"

#include <errno.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "common/tool.h"

channel_context *channel_context_new(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL)
        tool_fail("no TLS");
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF); /* each handshake is a full one */
    return context;
}

void channel_context_free(channel_context *context)
{
    SSL_CTX_free(context);
}

channel *channel_new(channel_context *context, int fd)
{
    SSL *ssl = SSL_new(context);
    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1)
        tool_fail("no TLS for a client");
    return ssl;
}

void channel_free(channel *c)
{
    SSL_free(c);
}

static ssize_t outcome(channel *c, int result)
{
    int why = SSL_get_error(c, result);
    if (result > 0)
        return result;
    if (why == SSL_ERROR_ZERO_RETURN)
        return 0;
    errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN : EPROTO;
    return -1;
}

bool channel_open(channel *c)
{
    ERR_clear_error();
    int result = SSL_connect(c);
    if (result != 1 && outcome(c, result) < 0 && errno != EAGAIN)
        tool_fail("TLS handshake: %s", ERR_reason_error_string(ERR_peek_error()));
    return result == 1;
}

ssize_t channel_receive(channel *c, char *bytes, size_t size)
{
    ERR_clear_error();
    return outcome(c, SSL_read(c, bytes, (int)size));
}

ssize_t channel_send(channel *c, const char *bytes, size_t n)
{
    ERR_clear_error();
    return outcome(c, SSL_write(c, bytes, (int)n));
}
