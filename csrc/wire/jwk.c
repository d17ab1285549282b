/* jwk.c - making keys, and asking what they are. jwk_read.c reads the JSON form, jwk_verify.c
 * checks signatures.
 *
 * OpenSSL keeps a queue of errors for each thread, and TLS looks at it: whoever makes OpenSSL fail
 * here clears it. */
#include "wire/jwk.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/mem.h"
#include "wire/jwk_private.h"

enum {
    MIN_SECRET_BYTES = 32,
    MAX_SECRET_BYTES = 4096,
    MIN_RSA_BITS = 2048,
    MAX_RSA_BITS = 8192,
    FAST_RSA_BITS = 3072,
};

static int refuse(const char **reason, const char *sentence)
{
    *reason = sentence;
    ERR_clear_error();
    return LEAT_EBADMSG;
}

/* --- kinds --- */

static bool is_group(EVP_PKEY *pkey, const char *group)
{
    char name[64] = "";
    size_t len = 0;
    return EVP_PKEY_get_group_name(pkey, name, sizeof(name), &len) == 1 && strcmp(name, group) == 0;
}

static bool is_odd(EVP_PKEY *pkey, const char *number)
{
    BIGNUM *n = NULL;
    bool odd = EVP_PKEY_get_bn_param(pkey, number, &n) == 1 && BN_is_odd(n) && !BN_is_one(n);
    BN_free(n);
    return odd;
}

/* OpenSSL's own check looks for a modulus that is a prime or has small factors, which takes 4 ms
 * for 2,048 bits, and 160 ms for 8,192. The keys of a URL are read on the loop; and whoever makes a
 * bad key could as well give the good one away. */
static int check_rsa(EVP_PKEY *pkey, const char **reason)
{
    int bits = EVP_PKEY_get_bits(pkey);
    if (bits < MIN_RSA_BITS)
        return refuse(reason, "an RSA key needs 2048 bits at least");
    if (bits > MAX_RSA_BITS)
        return refuse(reason, "an RSA key may have 8192 bits at most");
    if (!is_odd(pkey, OSSL_PKEY_PARAM_RSA_N))
        return refuse(reason, "the numbers of the key are wrong");
    return is_odd(pkey, OSSL_PKEY_PARAM_RSA_E)
               ? 0
               : refuse(reason, "the exponent of the RSA key is wrong");
}

/* The quick check is whether the point is on the curve. On these curves that is all. */
static int check_ec(EVP_PKEY *pkey, const char **reason)
{
    bool known = false;
    for (leat_jwt_alg alg = LEAT_JWT_ES256; alg <= LEAT_JWT_ES512; alg++)
        known = known || is_group(pkey, leat_jwt_alg_traits_of(alg)->group);
    if (!known)
        return refuse(reason, "the curve must be P-256, P-384 or P-521");
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
    bool valid = ctx != NULL && EVP_PKEY_public_check_quick(ctx) == 1;
    EVP_PKEY_CTX_free(ctx);
    return valid ? 0 : refuse(reason, "the numbers of the key are wrong");
}

static int check_public(EVP_PKEY *pkey, const char **reason)
{
    switch (EVP_PKEY_get_base_id(pkey)) {
    case EVP_PKEY_RSA:
        return check_rsa(pkey, reason);
    case EVP_PKEY_EC:
        return check_ec(pkey, reason);
    case EVP_PKEY_ED25519:
    case EVP_PKEY_ED448:
        return 0;
    default:
        return refuse(reason, "the key must be RSA, EC, Ed25519 or Ed448");
    }
}

/* --- making --- */

int leat_jwk_make_public(leat_jwk **out, EVP_PKEY *pkey, const char **reason)
{
    int err = check_public(pkey, reason);
    if (err < 0) {
        EVP_PKEY_free(pkey);
        return err;
    }
    leat_jwk *key = leat_calloc(1, sizeof(*key));
    key->pkey = pkey;
    key->only = LEAT_JWT_ALGS;
    *out = key;
    return 0;
}

int leat_jwk_make_secret(leat_jwk **out, leat_slice secret, const char **reason)
{
    if (secret.len < MIN_SECRET_BYTES)
        return refuse(reason, "a secret needs 32 bytes at least (RFC 7518, section 3.2)");
    if (secret.len > MAX_SECRET_BYTES)
        return refuse(reason, "a secret may have 4096 bytes at most");
    leat_jwk *key = leat_calloc(1, sizeof(*key));
    key->secret = leat_memdup(secret.at, secret.len);
    key->secret_len = secret.len;
    key->only = LEAT_JWT_ALGS;
    *out = key;
    return 0;
}

static bool is_der_key(leat_slice text)
{
    const unsigned char *at = (const unsigned char *)text.at;
    EVP_PKEY *pkey = d2i_PUBKEY(NULL, &at, (long)text.len);
    EVP_PKEY_free(pkey);
    ERR_clear_error();
    return pkey != NULL;
}

static bool looks_like_json(leat_slice text)
{
    size_t i = 0;
    while (i < text.len && strchr(" \t\r\n", text.at[i]) != NULL && text.at[i] != '\0')
        i++;
    return i < text.len && text.at[i] == '{' && memmem(text.at, text.len, "\"kty\"", 5) != NULL;
}

int leat_jwk_read_secret(leat_jwk **out, leat_slice secret, const char **reason)
{
    if (secret.len > 0 && memmem(secret.at, secret.len, "-----BEGIN ", 11) != NULL)
        return refuse(reason, "a PEM text is no secret: give it as pem");
    if (secret.len > 0 && (looks_like_json(secret) || is_der_key(secret)))
        return refuse(reason, "a key of another kind is no secret");
    return leat_jwk_make_secret(out, secret, reason);
}

/* Returns owned; NULL if the bytes are neither. */
static EVP_PKEY *decode_pem(const char *name, const unsigned char *der, long len)
{
    if (strcmp(name, "PUBLIC KEY") == 0)
        return d2i_PUBKEY(NULL, &der, len);
    if (strcmp(name, "RSA PUBLIC KEY") == 0)
        return d2i_PublicKey(EVP_PKEY_RSA, NULL, &der, len);
    if (strcmp(name, "CERTIFICATE") != 0)
        return NULL;
    X509 *cert = d2i_X509(NULL, &der, len);
    EVP_PKEY *pkey = cert == NULL ? NULL : X509_get_pubkey(cert);
    X509_free(cert);
    return pkey;
}

static int read_block(leat_jwk **out, BIO *bio, const char **reason)
{
    char *name = NULL;
    char *header = NULL;
    unsigned char *der = NULL;
    long len = 0;
    if (PEM_read_bio(bio, &name, &header, &der, &len) != 1)
        return refuse(reason, "there is no PEM text with a public key or a certificate");
    bool is_private = strstr(name, "PRIVATE KEY") != NULL;
    EVP_PKEY *pkey = is_private ? NULL : decode_pem(name, der, len);
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_clear_free(der, (size_t)len);
    if (is_private)
        return refuse(reason, "a private key does not belong here: give the public key");
    if (pkey == NULL)
        return refuse(reason, "the PEM text is no public key and no certificate");
    return leat_jwk_make_public(out, pkey, reason);
}

int leat_jwk_read_pem(leat_jwk **out, leat_slice pem, leat_slice *rest, const char **reason)
{
    BIO *bio = BIO_new_mem_buf(pem.len > 0 ? pem.at : "", (int)pem.len);
    LEAT_ASSERT(bio != NULL);
    int err = read_block(out, bio, reason);
    if (err == 0) {
        size_t left = BIO_ctrl_pending(bio);
        *rest = (leat_slice){pem.at + pem.len - left, left};
    }
    BIO_free(bio);
    return err;
}

void leat_jwk_free(leat_jwk *key)
{
    if (key == NULL)
        return;
    EVP_PKEY_free(key->pkey);
    if (key->secret != NULL)
        OPENSSL_cleanse(key->secret, key->secret_len);
    free(key->secret);
    free(key->kid);
    free(key);
}

/* --- asking --- */

bool leat_jwk_is_secret(const leat_jwk *key)
{
    return key->secret != NULL;
}

leat_slice leat_jwk_kid(const leat_jwk *key)
{
    return (leat_slice){key->kid, key->kid_len};
}

bool leat_jwk_fits(const leat_jwk *key, leat_jwt_alg alg)
{
    const leat_jwt_alg_traits *traits = leat_jwt_alg_traits_of(alg);
    if (key->only != LEAT_JWT_ALGS && key->only != alg)
        return false;
    int id = key->pkey == NULL ? EVP_PKEY_NONE : EVP_PKEY_get_base_id(key->pkey);
    switch (traits->scheme) {
    case LEAT_JWT_HMAC:
        return key->secret != NULL && key->secret_len >= traits->min_secret;
    case LEAT_JWT_RSA_PKCS1:
    case LEAT_JWT_RSA_PSS:
        return id == EVP_PKEY_RSA;
    case LEAT_JWT_ECDSA:
        return id == EVP_PKEY_EC && is_group(key->pkey, traits->group);
    case LEAT_JWT_EDWARDS:
        return id == EVP_PKEY_ED25519 || id == EVP_PKEY_ED448;
    }
    return false;
}

/* docs/lua-api.md has the times that were measured. */
bool leat_jwk_is_slow(const leat_jwk *key, leat_jwt_alg alg)
{
    switch (leat_jwt_alg_traits_of(alg)->scheme) {
    case LEAT_JWT_HMAC:
        return false;
    case LEAT_JWT_RSA_PKCS1:
    case LEAT_JWT_RSA_PSS:
        return EVP_PKEY_get_bits(key->pkey) > FAST_RSA_BITS;
    case LEAT_JWT_ECDSA:
        return alg != LEAT_JWT_ES256;
    case LEAT_JWT_EDWARDS:
        return true;
    }
    return true;
}
