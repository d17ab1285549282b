/* jwk_verify.c - a signature over a text, by OpenSSL's EVP. */
#include <string.h>

#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "wire/jwk.h"
#include "wire/jwk_private.h"

enum { ECDSA_DER_MAX = 160 }; /* two numbers of P-521, as DER */

static bool verify_hmac(const leat_jwk *key, const leat_jwt_alg_traits *traits, leat_slice text,
                        leat_slice signature)
{
    leat_buf mac = LEAT_BUF_INIT;
    leat_crypto_hmac(&mac, traits->hash, (leat_slice){key->secret, key->secret_len}, text);
    bool same = leat_crypto_equal(leat_buf_view(&mac), signature);
    leat_buf_close(&mac);
    return same;
}

static const EVP_MD *digest_of(const leat_jwt_alg_traits *traits)
{
    if (traits->scheme == LEAT_JWT_EDWARDS)
        return NULL; /* the hash is part of the signature scheme */
    return leat_crypto_digest(traits->hash);
}

/* RFC 7518 §3.5: the mask and the salt are of the hash of the algorithm. */
static bool use_padding(EVP_PKEY_CTX *ctx, const leat_jwt_alg_traits *traits)
{
    if (traits->scheme == LEAT_JWT_RSA_PKCS1)
        return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1;
    if (traits->scheme != LEAT_JWT_RSA_PSS)
        return true;
    return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, digest_of(traits)) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
}

static bool verify_evp(const leat_jwk *key, const leat_jwt_alg_traits *traits, leat_slice text,
                       leat_slice signature)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *padding = NULL;
    bool ok = ctx != NULL &&
              EVP_DigestVerifyInit(ctx, &padding, digest_of(traits), NULL, key->pkey) == 1 &&
              use_padding(padding, traits) &&
              EVP_DigestVerify(ctx, (const unsigned char *)signature.at, signature.len,
                               (const unsigned char *)text.at, text.len) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error(); /* TLS looks at the queue of the thread */
    return ok;
}

/* Writes r and s, each of number_bytes, as the DER that OpenSSL wants. Returns its length; 0 if
 * there is none. */
static size_t write_der(unsigned char der[ECDSA_DER_MAX], leat_slice raw, size_t number_bytes)
{
    const unsigned char *at = (const unsigned char *)raw.at;
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(at, (int)number_bytes, NULL);
    BIGNUM *s = BN_bin2bn(at + number_bytes, (int)number_bytes, NULL);
    LEAT_ASSERT(sig != NULL && r != NULL && s != NULL);
    int ok = ECDSA_SIG_set0(sig, r, s);
    LEAT_ASSERT(ok == 1);
    int len = i2d_ECDSA_SIG(sig, NULL);
    if (len > 0 && len <= ECDSA_DER_MAX)
        len = i2d_ECDSA_SIG(sig, &der);
    else
        len = 0;
    ECDSA_SIG_free(sig);
    return len > 0 ? (size_t)len : 0;
}

/* RFC 7518 §3.4: both numbers have exactly the length of the curve's order. */
static bool verify_ecdsa(const leat_jwk *key, const leat_jwt_alg_traits *traits, leat_slice text,
                         leat_slice signature)
{
    unsigned char der[ECDSA_DER_MAX];
    if (signature.len != 2 * traits->number_bytes)
        return false;
    size_t len = write_der(der, signature, traits->number_bytes);
    return len > 0 && verify_evp(key, traits, text, (leat_slice){(const char *)der, len});
}

bool leat_jwk_verify(const leat_jwk *key, leat_jwt_alg alg, leat_slice text, leat_slice signature)
{
    const leat_jwt_alg_traits *traits = leat_jwt_alg_traits_of(alg);
    if (!leat_jwk_fits(key, alg) || signature.len == 0)
        return false;
    switch (traits->scheme) {
    case LEAT_JWT_HMAC:
        return verify_hmac(key, traits, text, signature);
    case LEAT_JWT_ECDSA:
        return verify_ecdsa(key, traits, text, signature);
    case LEAT_JWT_RSA_PKCS1:
    case LEAT_JWT_RSA_PSS:
    case LEAT_JWT_EDWARDS:
        return verify_evp(key, traits, text, signature);
    }
    return false;
}
