/* tls_open.c - one handshake: begin -> SSL_accept, as often as it takes -> finish, or fail. OpenSSL
 * tells the peer by an alert why it has failed; a peer that speaks HTTP gets an answer that it
 * understands. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/log.h"
#include "net/tls_config.h"
#include "net/tls_private.h"
#include "wire/http.h"
#include "wire/tls_facts.h"

/* Asks the kernel to encrypt. Then OpenSSL hands it the keys; if it does not, nothing is lost. */
static void offer_kernel(leat_tls_side *side, int socket)
{
    if (!side->no_kernel && setsockopt(socket, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) < 0)
        side->no_kernel = errno == ENOENT || errno == ENOPROTOOPT; /* not if the peer has left */
}

static void begin(leat_tls *t)
{
    int socket = leat_conn_socket(t->base.conn);
    t->ssl = SSL_new(leat_tls_set_first(t->set));
    BIO *bio = BIO_new(t->side->socket_method);
    LEAT_ASSERT(t->ssl != NULL && bio != NULL);
    BIO_set_fd(bio, socket, BIO_NOCLOSE);
    BIO_set_callback_arg(bio, (char *)t);
    SSL_set_bio(t->ssl, bio, bio);
    SSL_set_app_data(t->ssl, t->set); /* for the name that the client asks for */
    SSL_set_accept_state(t->ssl);
    offer_kernel(t->side, socket);
}

/* --- success --- */

static leat_slice view_of(const leat_buf *b)
{
    return b->len == 0 ? leat_slice_of("") : leat_buf_view(b);
}

static void append_subject(leat_buf *out, X509 *certificate)
{
    char *text = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    LEAT_ASSERT(bio != NULL);
    X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0,
                       XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
    long len = BIO_get_mem_data(bio, &text);
    leat_buf_append(out, text, len < 0 ? 0 : (size_t)len);
    BIO_free(bio);
}

static void append_fingerprint(leat_buf *out, const X509 *certificate)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    LEAT_ASSERT(X509_digest(certificate, EVP_sha256(), digest, &len) == 1);
    for (unsigned i = 0; i < len; i++)
        leat_buf_printf(out, "%02x", digest[i]);
}

/* A resumed session brings the certificate and the verdict of the first handshake with it; the
 * certificate may have expired since. */
static bool is_verified(SSL *ssl, const X509 *certificate)
{
    return SSL_get_verify_result(ssl) == X509_V_OK &&
           X509_cmp_current_time(X509_get0_notAfter(certificate)) > 0;
}

static void note_facts(leat_tls *t)
{
    leat_buf subject = LEAT_BUF_INIT, fingerprint = LEAT_BUF_INIT;
    leat_tls_facts facts = {
        .version = leat_slice_of(SSL_get_version(t->ssl)),
        .cipher = leat_slice_of(SSL_get_cipher_name(t->ssl)),
        .server_name = leat_slice_of(SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name)),
    };
    X509 *certificate = SSL_get0_peer_certificate(t->ssl);
    if (certificate != NULL) {
        append_subject(&subject, certificate);
        append_fingerprint(&fingerprint, certificate);
        facts.subject = view_of(&subject);
        facts.fingerprint = view_of(&fingerprint);
        facts.verified = is_verified(t->ssl, certificate);
    }
    leat_tls_facts_pack(&t->facts, &facts);
    leat_buf_close(&subject);
    leat_buf_close(&fingerprint);
}

static int finish(leat_tls *t)
{
    bool in_kernel = BIO_get_ktls_send(SSL_get_wbio(t->ssl)) != 0;
    note_facts(t);
    leat_tls_side_over(t, SSL_session_reused(t->ssl) ? LEAT_M_TLS_RESUMED : LEAT_M_TLS_FULL);
    SSL_set_app_data(t->ssl, NULL);
    leat_tls_bound_handshake_records(t);
    leat_metrics_add(t->side->metrics, in_kernel ? LEAT_M_TLS_IN_KERNEL : LEAT_M_TLS_IN_PROCESS, 1);
    t->base.state = in_kernel ? LEAT_FILTER_IN_KERNEL : LEAT_FILTER_OPEN;
    t->base.wait_read = LEAT_WATCH_READABLE;
    return 0;
}

/* --- failure --- */

static leat_metric metric_of(int reason)
{
    switch (reason) {
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
        return LEAT_M_TLS_FAILED_PLAIN;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_WRONG_SSL_VERSION:
    case SSL_R_BAD_LEGACY_VERSION:
        return LEAT_M_TLS_FAILED_VERSION;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SHARED_GROUPS:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
        return LEAT_M_TLS_FAILED_CIPHER;
    case SSL_R_NO_APPLICATION_PROTOCOL:
        return LEAT_M_TLS_FAILED_ALPN;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
        return LEAT_M_TLS_FAILED_CLIENT;
    default:
        return reason >= SSL_AD_REASON_OFFSET ? LEAT_M_TLS_FAILED_ALERT : LEAT_M_TLS_FAILED_OTHER;
    }
}

static void answer_http(const leat_tls *t)
{
    leat_buf out = LEAT_BUF_INIT;
    leat_http_write_response(
        &out, 400, "application/json", NULL,
        leat_slice_of("{\"code\":\"bad_request\",\"message\":\"this port speaks TLS: use https or "
                      "wss\"}"),
        false, false);
    (void)send(leat_conn_socket(t->base.conn), out.at, out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    leat_buf_close(&out);
}

/* The reason is OpenSSL's own phrase: nothing of what the peer has sent. */
static int fail(leat_tls *t)
{
    unsigned long code = ERR_peek_error();
    leat_metric metric = metric_of(ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0);
    leat_buf reason = LEAT_BUF_INIT;
    char quoted[128];
    leat_tls_append_reason(&reason);
    LEAT_LOG_INFO("tls", "handshake failed reason=%s remote=%s",
                  leat_log_quote(quoted, sizeof(quoted), reason.at, reason.len),
                  leat_conn_remote(t->base.conn));
    leat_buf_close(&reason);
    t->broken = true;
    if (metric == LEAT_M_TLS_FAILED_PLAIN)
        answer_http(t);
    leat_tls_side_over(t, metric);
    return UV_EPROTO;
}

int leat_tls_open(leat_filter *base)
{
    leat_tls *t = LEAT_CONTAINER_OF(base, leat_tls, base);
    if (!leat_tls_side_takes_step(t->side))
        return UV_EAGAIN;
    if (t->ssl == NULL)
        begin(t);
    ERR_clear_error();
    int result = SSL_accept(t->ssl);
    if (result == 1)
        return finish(t);
    if (SSL_get_error(t->ssl, result) == SSL_ERROR_SSL)
        return fail(t);
    int err = leat_tls_outcome(t, result, &base->wait_read);
    if (err != UV_EAGAIN)
        leat_tls_side_over(t, LEAT_M_TLS_FAILED_GONE);
    return err == 0 ? UV_EOF : err;
}
