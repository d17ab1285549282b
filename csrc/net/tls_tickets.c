/* tls_tickets.c - keys[0] is the current key, keys[1] the one before. A key is replaced when it is
 * looked at and found too old, so no timer is needed. */
#include "net/tls_tickets.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/err.h"
#include "base/mem.h"

enum { N_KEYS = 2, IV_BYTES = 16 };

struct leat_tls_tickets {
    pthread_mutex_t lock;
    leat_tls_ticket_key keys[N_KEYS]; /* made_s 0: there is none */
};

leat_tls_tickets *leat_tls_tickets_new(void)
{
    leat_tls_tickets *t = leat_calloc(1, sizeof(*t));
    LEAT_ASSERT(pthread_mutex_init(&t->lock, NULL) == 0);
    return t;
}

void leat_tls_tickets_free(leat_tls_tickets *t)
{
    if (t == NULL)
        return;
    pthread_mutex_destroy(&t->lock);
    OPENSSL_cleanse(t->keys, sizeof(t->keys));
    free(t);
}

static bool is_fresh(const leat_tls_ticket_key *key, uint64_t now_s, uint64_t max_s)
{
    return key->made_s != 0 && now_s < key->made_s + max_s;
}

static void make_key(leat_tls_ticket_key *key, uint64_t now_s)
{
    LEAT_ASSERT(RAND_bytes(key->name, sizeof(key->name)) == 1);
    LEAT_ASSERT(RAND_priv_bytes(key->cipher, sizeof(key->cipher)) == 1);
    LEAT_ASSERT(RAND_priv_bytes(key->mac, sizeof(key->mac)) == 1);
    key->made_s = now_s;
}

void leat_tls_tickets_current(leat_tls_tickets *t, uint64_t now_s, leat_tls_ticket_key *out)
{
    pthread_mutex_lock(&t->lock);
    if (!is_fresh(&t->keys[0], now_s, LEAT_TLS_KEY_S)) {
        t->keys[1] = t->keys[0];
        make_key(&t->keys[0], now_s);
    }
    *out = t->keys[0];
    pthread_mutex_unlock(&t->lock);
}

int leat_tls_tickets_find(leat_tls_tickets *t, uint64_t now_s, const unsigned char *name,
                          leat_tls_ticket_key *out)
{
    int found = 0;
    pthread_mutex_lock(&t->lock);
    for (int i = 0; i < N_KEYS && found == 0; i++) {
        const leat_tls_ticket_key *key = &t->keys[i];
        if (!is_fresh(key, now_s, (uint64_t)2 * LEAT_TLS_KEY_S) ||
            memcmp(key->name, name, sizeof(key->name)) != 0)
            continue;
        *out = *key;
        found = is_fresh(key, now_s, LEAT_TLS_KEY_S) ? 1 : 2;
    }
    pthread_mutex_unlock(&t->lock);
    return found;
}

/* --- what OpenSSL calls --- */

static uint64_t now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec + 1; /* never 0 */
}

static bool use_key(const leat_tls_ticket_key *key, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                    EVP_MAC_CTX *mac, bool encrypts)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key->mac, sizeof(key->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv, encrypts) == 1 &&
           EVP_MAC_CTX_set_params(mac, params) == 1;
}

static int on_new_ticket(leat_tls_tickets *t, unsigned char *name, unsigned char *iv,
                         EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    leat_tls_ticket_key key;
    leat_tls_tickets_current(t, now_s(), &key);
    memcpy(name, key.name, sizeof(key.name));
    bool ok = RAND_bytes(iv, IV_BYTES) == 1 && use_key(&key, iv, cipher, mac, true);
    OPENSSL_cleanse(&key, sizeof(key));
    return ok ? 1 : -1;
}

static int on_old_ticket(leat_tls_tickets *t, const unsigned char *name, unsigned char *iv,
                         EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    leat_tls_ticket_key key;
    int found = leat_tls_tickets_find(t, now_s(), name, &key);
    if (found == 0)
        return 0;
    bool ok = use_key(&key, iv, cipher, mac, false);
    OPENSSL_cleanse(&key, sizeof(key));
    return ok ? found : -1;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int encrypts)
{
    leat_tls_tickets *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    return encrypts ? on_new_ticket(t, name, iv, cipher, mac)
                    : on_old_ticket(t, name, iv, cipher, mac);
}

void leat_tls_tickets_serve(leat_tls_tickets *t, SSL_CTX *ctx)
{
    SSL_CTX_set_app_data(ctx, t);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(ctx, 2L * LEAT_TLS_KEY_S);
    SSL_CTX_set_num_tickets(ctx, 1); /* TLS 1.3: a client that comes back gets another one */
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
}
