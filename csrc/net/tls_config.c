#include "net/tls_config.h"

#include <errno.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/err.h"

/* For TLS 1.2: forward secrecy and authenticated encryption, as Mozilla's "intermediate" profile
 * has it, without finite-field Diffie-Hellman. TLS 1.3 has no weak ciphers. */
#define CIPHERS                                                                                    \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                                   \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                                   \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define GROUPS "X25519:P-256:P-384"
/* The first one is of OpenSSL 3.5 and later. */
#define GROUPS_WITH_HYBRID "X25519MLKEM768:" GROUPS

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                   const unsigned char *in, unsigned in_len, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1";
    (void)ssl;
    (void)arg;
    unsigned char *chosen = NULL;
    if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours) - 1, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301 section 3.2 */
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* A key that needs a passphrase fails, and nobody is asked at the terminal. */
static int on_passphrase(char *out, int size, int writes, void *arg)
{
    (void)out;
    (void)size;
    (void)writes;
    (void)arg;
    return -1;
}

static void set_groups(SSL_CTX *ctx)
{
    if (SSL_CTX_set1_groups_list(ctx, GROUPS_WITH_HYBRID) == 1)
        return;
    leat_tls_forget_reasons();
    LEAT_ASSERT(SSL_CTX_set1_groups_list(ctx, GROUPS) == 1);
}

SSL_CTX *leat_tls_config_new(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    LEAT_ASSERT(ctx != NULL);
    LEAT_ASSERT(SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1);
    LEAT_ASSERT(SSL_CTX_set_cipher_list(ctx, CIPHERS) == 1);
    set_groups(ctx);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_ENABLE_KTLS);
    /* What waits lies in the conn's queue, and may have moved when it is tried again. */
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    /* Each call does one thing, so that no peer keeps it busy with records that are no data. */
    SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
    SSL_CTX_set_default_passwd_cb(ctx, on_passphrase);
    return ctx;
}

static int take_any(int is_verified, X509_STORE_CTX *verification)
{
    (void)is_verified;
    (void)verification;
    return 1; /* SSL_get_verify_result keeps the error */
}

void leat_tls_config_ask(SSL_CTX *ctx, bool required)
{
    if (required)
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    else
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, take_any);
}

bool leat_tls_config_bind_sessions(SSL_CTX *ctx, const char *client_ca)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_len = 0;
    char bytes[4096];
    int n = 0;
    BIO *file = BIO_new_file(client_ca, "r");
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool ok = file != NULL && md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1;
    while (ok && (n = BIO_read(file, bytes, sizeof(bytes))) > 0)
        ok = EVP_DigestUpdate(md, bytes, (size_t)n) == 1;
    ok = ok && EVP_DigestFinal_ex(md, digest, &digest_len) == 1 &&
         SSL_CTX_set_session_id_context(ctx, digest, digest_len) == 1;
    EVP_MD_CTX_free(md);
    BIO_free(file);
    return ok;
}

/* --- errors --- */

void leat_tls_forget_reasons(void)
{
    ERR_clear_error();
}

void leat_tls_append_reason(leat_buf *out)
{
    unsigned long code = ERR_peek_error(); /* the first one is the cause */
    int lib = ERR_GET_LIB(code), reason = ERR_GET_REASON(code);
    const char *text = ERR_reason_error_string(code);
    if (ERR_SYSTEM_ERROR(code))
        text = strerror(reason);
    else if (lib == ERR_LIB_OSSL_DECODER || (lib == ERR_LIB_PEM && reason == PEM_R_NO_START_LINE))
        text = "there is none in this PEM file";
    else if (lib == ERR_LIB_CRYPTO && reason == ERR_R_INTERRUPTED_OR_CANCELLED)
        text = "it needs a passphrase, which Leat cannot ask for";
    leat_buf_text(out, text != NULL ? text : "unknown error");
    ERR_clear_error();
}

bool leat_tls_reason_is_mismatch(void)
{
    unsigned long code = ERR_peek_last_error();
    int reason = ERR_GET_REASON(code);
    return ERR_GET_LIB(code) == ERR_LIB_X509 &&
           (reason == X509_R_KEY_VALUES_MISMATCH || reason == X509_R_KEY_TYPE_MISMATCH);
}
