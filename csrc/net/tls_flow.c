/* tls_flow.c - reading and writing on an open TLS connection.
 *
 * Writing. OpenSSL makes one record of each SSL_write. The pieces of the queue are gathered into
 * records of full size in a buffer on the stack, so that many small events are not many small
 * records. A record of which the socket has taken only a part stays inside OpenSSL, and in the
 * conn's queue, too, until it has left: then the same bytes are offered again.
 *
 * Reading. One read gives the conn as much as fits its buffer. OpenSSL reads ahead, up to one
 * record: what is left in there, the socket does not tell of, hence `more`.
 *
 * Handshake records. A peer renews keys (KeyUpdate, RFC 8446 §4.6.3), or with TLS 1.2 asks for
 * another handshake (RFC 5246 §7.4.1.2), by records of a few bytes, each of which costs many
 * microseconds and an answer. on_message counts them. */

/* OpenSSL 3.5 deprecates BIO_meth_get_*, and has nothing in its place. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/tls.h>

#include <openssl/err.h>

#include "base/container_of.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/tls_private.h"

enum {
    RECORD_BYTES = SSL3_RT_MAX_PLAIN_LENGTH,
    KERNEL_CONTROL = 0x1000, /* a BIO's flag: it is to send a record that is no data */
    ALERT_RECORD = 21,
    MAX_HANDSHAKE_RECORDS = 32, /* of a connection, once it is open: a key is good for 100 GB */
};

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

/* --- the socket --- */

static int on_socket_read(BIO *bio, char *bytes, int len)
{
    leat_tls *t = (leat_tls *)(void *)BIO_get_callback_arg(bio);
    int n = BIO_meth_get_read(BIO_s_socket())(bio, bytes, len);
    t->starved = n <= 0;
    return n;
}

/* OpenSSL's own function writes by write(2), which raises SIGPIPE when the peer is gone. */
static int on_socket_write(BIO *bio, const char *bytes, int len)
{
    leat_tls *t = (leat_tls *)(void *)BIO_get_callback_arg(bio);
    if (BIO_test_flags(bio, KERNEL_CONTROL))
        return BIO_meth_get_write(BIO_s_socket())(bio, bytes, len);
    ssize_t n = 0;
    do
        n = send(leat_conn_socket(t->base.conn), bytes, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    BIO_clear_retry_flags(bio);
    if (n > 0)
        t->base.moved = true;
    else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)
        BIO_set_retry_write(bio);
    return (int)n;
}

BIO_METHOD *leat_tls_socket_method(void)
{
    const BIO_METHOD *plain = BIO_s_socket();
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOCKET, "socket without SIGPIPE");
    if (method == NULL)
        return NULL;
    BIO_meth_set_create(method, BIO_meth_get_create(plain));
    BIO_meth_set_destroy(method, BIO_meth_get_destroy(plain));
    BIO_meth_set_ctrl(method, BIO_meth_get_ctrl(plain));
    BIO_meth_set_read(method, on_socket_read);
    BIO_meth_set_write(method, on_socket_write);
    return method;
}

int leat_tls_outcome(leat_tls *t, int result, uint8_t *wait)
{
    int system_err = errno;
    switch (SSL_get_error(t->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        *wait = LEAT_WATCH_READABLE;
        return UV_EAGAIN;
    case SSL_ERROR_WANT_WRITE:
        *wait = LEAT_WATCH_WRITABLE;
        return UV_EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        t->broken = true;
        return system_err > 0 && system_err != EAGAIN ? -system_err : UV_ECONNRESET;
    default:
        t->broken = true;
        return UV_ECONNABORTED;
    }
}

/* --- reading --- */

/* OpenSSL tells the type of each record: with TLS 1.3 it is encrypted (RFC 8446 §5.2), and told as
 * the inner type. */
static bool is_handshake_record(int what, const void *bytes)
{
    bool tells_type = what == SSL3_RT_HEADER || what == SSL3_RT_INNER_CONTENT_TYPE;
    return tells_type && *(const unsigned char *)bytes == SSL3_RT_HANDSHAKE;
}

/* Ends a connection that sends too many. OpenSSL looks at no further record once the peer counts as
 * gone (SSL_set_shutdown). */
static void on_message(int written, int version, int what, const void *bytes, size_t len, SSL *ssl,
                       void *arg)
{
    leat_tls *t = arg;
    (void)version;
    if (written || len == 0 || !is_handshake_record(what, bytes) || t->broken ||
        ++t->n_handshake_records <= MAX_HANDSHAKE_RECORDS)
        return;
    t->broken = true;
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    leat_metrics_add(t->side->metrics, LEAT_M_FLOODS_CLOSED, 1);
    LEAT_LOG_INFO("tls", "closed reason=flood limit=handshake_records remote=%s",
                  leat_conn_remote(t->base.conn));
    leat_conn_charge_flood(t->base.conn);
}

void leat_tls_bound_handshake_records(leat_tls *t)
{
    SSL_set_msg_callback(t->ssl, on_message);
    SSL_set_msg_callback_arg(t->ssl, t);
}

/* Reads until the buffer is full, or nothing more is inside. */
static int read_records(leat_tls *t, char *bytes, size_t len, size_t *got)
{
    int n = 0;
    *got = 0;
    do {
        ERR_clear_error();
        n = SSL_read(t->ssl, bytes + *got, (int)(len - *got));
        if (n <= 0)
            return leat_tls_outcome(t, n, &t->base.wait_read);
        *got += (size_t)n;
        t->base.wait_read = LEAT_WATCH_READABLE;
    } while (*got < len && SSL_has_pending(t->ssl));
    return 1;
}

/* What ends the reading after some bytes is told by the next call. */
ssize_t leat_tls_read(leat_filter *base, char *bytes, size_t len)
{
    leat_tls *t = LEAT_CONTAINER_OF(base, leat_tls, base);
    size_t got = 0;
    if (t->broken)
        return UV_ECONNABORTED;
    t->starved = false;
    int err = read_records(t, bytes, len, &got);
    if (err == UV_EAGAIN)
        base->more = !t->starved && base->wait_read == LEAT_WATCH_READABLE;
    else
        base->more = err != 1 || SSL_has_pending(t->ssl);
    return got > 0 ? (ssize_t)got : err;
}

/* --- writing --- */

/* A place in an array of pieces. */
typedef struct place {
    const struct iovec *iov;
    size_t n;
    size_t at; /* in the first of them */
} place;

static void advance(place *p, size_t len)
{
    while (len > 0) {
        size_t rest = p->iov->iov_len - p->at;
        if (len < rest) {
            p->at += len;
            return;
        }
        len -= rest;
        p->iov++;
        p->n--;
        p->at = 0;
    }
}

/* Returns the next record's content: where it lies, if it is in one piece, else in scratch. */
static leat_slice next_record(place from, char *scratch)
{
    if (from.n == 0)
        return (leat_slice){NULL, 0};
    leat_slice first = {(const char *)from.iov->iov_base + from.at, from.iov->iov_len - from.at};
    if (first.len >= RECORD_BYTES)
        return (leat_slice){first.at, RECORD_BYTES};
    if (from.n == 1)
        return first;
    size_t len = 0;
    while (from.n > 0 && len < RECORD_BYTES) {
        size_t rest = from.iov->iov_len - from.at;
        size_t part = rest < RECORD_BYTES - len ? rest : RECORD_BYTES - len;
        memcpy(scratch + len, (const char *)from.iov->iov_base + from.at, part);
        len += part;
        advance(&from, part);
    }
    return (leat_slice){scratch, len};
}

ssize_t leat_tls_write(leat_filter *base, const struct iovec *iov, size_t n)
{
    leat_tls *t = LEAT_CONTAINER_OF(base, leat_tls, base);
    LEAT_UNINITIALIZED char scratch[RECORD_BYTES];
    place at = {iov, n, 0};
    size_t taken = 0;
    if (t->broken)
        return UV_ECONNABORTED;
    for (leat_slice record = next_record(at, scratch); record.len > 0;
         record = next_record(at, scratch)) {
        ERR_clear_error();
        int written = SSL_write(t->ssl, record.at, (int)record.len);
        if (written <= 0) {
            int err = leat_tls_outcome(t, written, &base->wait_write);
            return err == UV_EAGAIN ? (ssize_t)taken : err == 0 ? UV_EPIPE : err;
        }
        base->wait_write = LEAT_WATCH_WRITABLE;
        taken += (size_t)written;
        advance(&at, (size_t)written);
    }
    return (ssize_t)taken;
}

/* --- the end --- */

/* OpenSSL would send it, too, but with SIGPIPE. */
static void end_in_kernel(const leat_tls *t)
{
    static const unsigned char close_notify[] = {SSL3_AL_WARNING, SSL_AD_CLOSE_NOTIFY};
    struct iovec iov = {(void *)close_notify, sizeof(close_notify)};
    union {
        char bytes[CMSG_SPACE(1)];
        struct cmsghdr align;
    } control = {.bytes = {0}};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    struct cmsghdr *type = CMSG_FIRSTHDR(&message);
    type->cmsg_level = SOL_TLS;
    type->cmsg_type = TLS_SET_RECORD_TYPE;
    type->cmsg_len = CMSG_LEN(1);
    *CMSG_DATA(type) = ALERT_RECORD;
    (void)sendmsg(leat_conn_socket(t->base.conn), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int leat_tls_end(leat_filter *base)
{
    leat_tls *t = LEAT_CONTAINER_OF(base, leat_tls, base);
    if (t->broken || t->ended)
        return 0;
    t->ended = true;
    if (base->state == LEAT_FILTER_IN_KERNEL) {
        end_in_kernel(t);
        return 0;
    }
    ERR_clear_error();
    int result = SSL_shutdown(t->ssl);
    if (result >= 0 || leat_tls_outcome(t, result, &base->wait_write) != UV_EAGAIN)
        return 0;
    t->ended = false;
    return UV_EAGAIN;
}
