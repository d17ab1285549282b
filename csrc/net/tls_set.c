#include "net/tls_set.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/x509v3.h>

#include "base/mem.h"
#include "net/tls_config.h"

struct leat_tls_set {
    atomic_uint refs;
    size_t n;
    leat_tls_identity identities[];
};

/* --- the name that the client asks for --- */

static SSL_CTX *find(const leat_tls_set *set, const char *name, unsigned flags)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < set->n; i++) {
        X509 *leaf = SSL_CTX_get0_certificate(set->identities[i].ctx);
        if (X509_check_host(leaf, name, len, flags, NULL) == 1)
            return set->identities[i].ctx;
    }
    return NULL;
}

/* Returns the context of the certificate that has exactly this name, or a wildcard for it; or of
 * the first. */
static SSL_CTX *find_or_first(const leat_tls_set *set, const char *name)
{
    if (set->n == 1)
        return set->identities[0].ctx;
    SSL_CTX *ctx = find(set, name, X509_CHECK_FLAG_NO_WILDCARDS);
    if (ctx == NULL)
        ctx = find(set, name, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return ctx != NULL ? ctx : set->identities[0].ctx;
}

static int on_server_name(SSL *ssl, int *alert, void *arg)
{
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const leat_tls_set *set = SSL_get_app_data(ssl);
    (void)alert;
    (void)arg;
    if (name == NULL || set == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    SSL_set_SSL_CTX(ssl, find_or_first(set, name));
    return SSL_TLSEXT_ERR_OK;
}

/* --- loading --- */

static int fail(leat_buf *error, const char *key, const char *path)
{
    leat_buf_printf(error, "%s = \"%s\": ", key, path);
    leat_tls_append_reason(error);
    return LEAT_ECONFIG;
}

static int read_pair(SSL_CTX *ctx, const leat_tls_pair *pair, leat_buf *error)
{
    if (SSL_CTX_use_certificate_chain_file(ctx, pair->certificate) != 1)
        return fail(error, "tls_certificate", pair->certificate);
    /* A key that does not fit is refused here or by the check. */
    if (SSL_CTX_use_PrivateKey_file(ctx, pair->key, SSL_FILETYPE_PEM) != 1 &&
        !leat_tls_reason_is_mismatch())
        return fail(error, "tls_key", pair->key);
    if (SSL_CTX_check_private_key(ctx) != 1) {
        leat_tls_forget_reasons();
        leat_buf_printf(error,
                        "tls_key = \"%s\": does not fit the certificate of tls_certificate = "
                        "\"%s\"",
                        pair->key, pair->certificate);
        return LEAT_ECONFIG;
    }
    return 0;
}

static int ask_clients(SSL_CTX *ctx, const char *client_ca, leat_tls_clients clients,
                       leat_buf *error)
{
    if (clients == LEAT_TLS_CLIENTS_UNASKED)
        return 0;
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(client_ca);
    if (names == NULL || SSL_CTX_load_verify_file(ctx, client_ca) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return fail(error, "tls_client_ca", client_ca);
    }
    SSL_CTX_set_client_CA_list(ctx, names);
    leat_tls_config_ask(ctx, clients == LEAT_TLS_CLIENTS_REQUIRED);
    return leat_tls_config_bind_sessions(ctx, client_ca) ? 0
                                                         : fail(error, "tls_client_ca", client_ca);
}

static int64_t expiry_of(SSL_CTX *ctx)
{
    struct tm when = {0};
    const X509 *leaf = SSL_CTX_get0_certificate(ctx);
    return ASN1_TIME_to_tm(X509_get0_notAfter(leaf), &when) == 1 ? (int64_t)timegm(&when) : 0;
}

int leat_tls_identity_load(leat_tls_identity *out, const leat_tls_pair *pair, const char *client_ca,
                           leat_tls_clients clients, leat_tls_tickets *tickets, leat_buf *error)
{
    leat_tls_forget_reasons();
    SSL_CTX *ctx = leat_tls_config_new();
    int err = read_pair(ctx, pair, error);
    if (err == 0)
        err = ask_clients(ctx, client_ca, clients, error);
    if (err < 0) {
        SSL_CTX_free(ctx);
        return err;
    }
    leat_tls_tickets_serve(tickets, ctx);
    SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
    *out = (leat_tls_identity){ctx, expiry_of(ctx)};
    return 0;
}

void leat_tls_identity_free(leat_tls_identity *identity)
{
    SSL_CTX_free(identity->ctx);
    identity->ctx = NULL;
}

/* --- a set --- */

leat_tls_set *leat_tls_set_new(const leat_tls_identity *identities, size_t n)
{
    LEAT_ASSERT(n > 0);
    leat_tls_set *set = leat_calloc(1, sizeof(*set) + n * sizeof(*identities));
    atomic_init(&set->refs, 1);
    set->n = n;
    for (size_t i = 0; i < n; i++) {
        set->identities[i] = identities[i];
        SSL_CTX_up_ref(identities[i].ctx);
    }
    return set;
}

leat_tls_set *leat_tls_set_ref(leat_tls_set *set)
{
    atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
    return set;
}

void leat_tls_set_unref(leat_tls_set *set)
{
    if (set == NULL || atomic_fetch_sub_explicit(&set->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (size_t i = 0; i < set->n; i++)
        leat_tls_identity_free(&set->identities[i]);
    free(set);
}

SSL_CTX *leat_tls_set_first(const leat_tls_set *set)
{
    return set->identities[0].ctx;
}

int64_t leat_tls_set_not_after_s(const leat_tls_set *set)
{
    int64_t first = set->identities[0].not_after_s;
    for (size_t i = 1; i < set->n; i++)
        if (set->identities[i].not_after_s < first)
            first = set->identities[i].not_after_s;
    return first;
}
