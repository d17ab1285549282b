/* jwk_read.c - a JWK: its members are collected, then the kind of the key (kty) says which of them
 * make the key (RFC 7518 §6, RFC 8037 §2). Members that Leat does not know are passed over, and so
 * are those of a private key. */
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/param_build.h>

#include "base/mem.h"
#include "wire/json.h"
#include "wire/jwk.h"
#include "wire/jwk_private.h"
#include "wire/jwt_json.h"

enum {
    MAX_DEPTH = 8,
    MAX_KID_BYTES = 1024,
    MAX_NUMBER_BYTES = 1024, /* of an RSA modulus of 8192 bits */
};

enum member { KTY, CRV, N, E, X, Y, K, KID, ALG, USE, KEY_OPS, MEMBERS };

static const char *const names[MEMBERS] = {
    [KTY] = "kty",
    [CRV] = "crv",
    [N] = "n",
    [E] = "e",
    [X] = "x",
    [Y] = "y",
    [K] = "k",
    [KID] = "kid",
    [ALG] = "alg",
    [USE] = "use",
    [KEY_OPS] = "key_ops",
};

struct jwk {
    leat_buf texts[MEMBERS]; /* decoded strings; KEY_OPS: the JSON of the list */
    bool has[MEMBERS];
};

static void wipe(leat_buf *b)
{
    if (b->at != NULL)
        OPENSSL_cleanse(b->at, b->cap);
    leat_buf_close(b);
}

static leat_slice text_of(const struct jwk *j, enum member m)
{
    return leat_buf_view(&j->texts[m]);
}

/* --- collecting --- */

static int take_member(struct jwk *j, enum member m, leat_json_reader *r)
{
    leat_json_token token = LEAT_JSON_NULL;
    leat_slice raw;
    j->has[m] = true;
    if (m == KEY_OPS) {
        int err = leat_json_skip(r, &raw);
        if (err == 0)
            leat_buf_slice(&j->texts[m], raw);
        return err;
    }
    int err = leat_json_next(r, &token);
    if (err == 0 && token != LEAT_JSON_STRING)
        err = LEAT_EBADMSG;
    if (err == 0)
        leat_buf_slice(&j->texts[m], r->text);
    return err;
}

static enum member member_of(leat_slice name)
{
    size_t m = 0;
    while (m < MEMBERS && !leat_slice_is(name, names[m]))
        m++;
    return (enum member)m;
}

static int collect(struct jwk *j, leat_json_reader *r)
{
    leat_json_token token = LEAT_JSON_NULL;
    leat_slice raw;
    int err = leat_json_next(r, &token); /* { */
    while (err == 0) {
        err = leat_json_next(r, &token);
        if (err < 0 || token != LEAT_JSON_KEY)
            break;
        enum member m = member_of(r->text);
        err = m == MEMBERS ? leat_json_skip(r, &raw) : take_member(j, m, r);
    }
    return err;
}

/* --- numbers --- */

/* Appends the bytes of a member in base64url; len is their exact number, or 0. */
static int bytes_of(const struct jwk *j, enum member m, size_t len, leat_buf *out)
{
    leat_slice text = text_of(j, m);
    if (text.len == 0 || text.len > (MAX_NUMBER_BYTES + 8) * 4)
        return LEAT_EBADMSG;
    int err = leat_base64_read(out, LEAT_BASE64_URL, text);
    return err < 0 || (len > 0 && out->len != len) ? LEAT_EBADMSG : 0;
}

static BIGNUM *number_of(const struct jwk *j, enum member m)
{
    leat_buf bytes = LEAT_BUF_INIT;
    BIGNUM *n = NULL;
    if (bytes_of(j, m, 0, &bytes) == 0)
        n = BN_bin2bn((const unsigned char *)bytes.at, (int)bytes.len, NULL);
    leat_buf_close(&bytes);
    return n;
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *build)
{
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (params == NULL || ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
        pkey = NULL;
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return pkey;
}

/* --- kinds: each returns an owned key, or NULL --- */

static EVP_PKEY *make_rsa(const struct jwk *j)
{
    BIGNUM *n = number_of(j, N);
    BIGNUM *e = number_of(j, E);
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    if (n != NULL && e != NULL && build != NULL &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) == 1)
        pkey = from_params("RSA", build);
    OSSL_PARAM_BLD_free(build);
    BN_free(n);
    BN_free(e);
    return pkey;
}

static const leat_jwt_alg_traits *curve_of(const struct jwk *j)
{
    for (leat_jwt_alg alg = LEAT_JWT_ES256; alg <= LEAT_JWT_ES512; alg++)
        if (leat_slice_is(text_of(j, CRV), leat_jwt_alg_traits_of(alg)->curve))
            return leat_jwt_alg_traits_of(alg);
    return NULL;
}

static EVP_PKEY *make_ec(const struct jwk *j)
{
    const leat_jwt_alg_traits *curve = curve_of(j);
    if (curve == NULL)
        return NULL;
    leat_buf point = LEAT_BUF_INIT;
    leat_buf y = LEAT_BUF_INIT;
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    leat_buf x = LEAT_BUF_INIT;
    if (bytes_of(j, X, curve->number_bytes, &x) == 0 &&
        bytes_of(j, Y, curve->number_bytes, &y) == 0) {
        leat_buf_char(&point, 4); /* an uncompressed point (SEC 1, section 2.3.3) */
        leat_buf_slice(&point, leat_buf_view(&x));
        leat_buf_slice(&point, leat_buf_view(&y));
        if (build != NULL &&
            OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, curve->group, 0) ==
                1 &&
            OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point.at, point.len) ==
                1)
            pkey = from_params("EC", build);
    }
    OSSL_PARAM_BLD_free(build);
    leat_buf_close(&x);
    leat_buf_close(&y);
    leat_buf_close(&point);
    return pkey;
}

static EVP_PKEY *make_edwards(const struct jwk *j)
{
    bool small = leat_slice_is(text_of(j, CRV), "Ed25519");
    if (!small && !leat_slice_is(text_of(j, CRV), "Ed448"))
        return NULL;
    leat_buf x = LEAT_BUF_INIT;
    EVP_PKEY *pkey = NULL;
    if (bytes_of(j, X, small ? 32 : 57, &x) == 0)
        pkey = EVP_PKEY_new_raw_public_key(small ? EVP_PKEY_ED25519 : EVP_PKEY_ED448, NULL,
                                           (const unsigned char *)x.at, x.len);
    leat_buf_close(&x);
    return pkey;
}

static int make_secret(leat_jwk **out, const struct jwk *j, const char **reason)
{
    leat_buf secret = LEAT_BUF_INIT;
    int err = bytes_of(j, K, 0, &secret);
    if (err < 0)
        *reason = "k is not base64url without padding";
    else
        err = leat_jwk_make_secret(out, leat_buf_view(&secret), reason);
    wipe(&secret);
    return err;
}

static int make(leat_jwk **out, const struct jwk *j, const char **reason)
{
    leat_slice kty = text_of(j, KTY);
    EVP_PKEY *pkey = NULL;
    if (leat_slice_is(kty, "oct"))
        return make_secret(out, j, reason);
    if (leat_slice_is(kty, "RSA"))
        pkey = make_rsa(j);
    else if (leat_slice_is(kty, "EC"))
        pkey = make_ec(j);
    else if (leat_slice_is(kty, "OKP"))
        pkey = make_edwards(j);
    ERR_clear_error();
    if (pkey == NULL) {
        *reason = "the members of the JWK make no key of a known kind";
        return LEAT_EBADMSG;
    }
    return leat_jwk_make_public(out, pkey, reason);
}

/* --- what the key says about itself --- */

/* True if key_ops is absent or names "verify". */
static bool may_verify(const struct jwk *j)
{
    if (!j->has[KEY_OPS])
        return true;
    leat_buf scratch = LEAT_BUF_INIT;
    leat_json_reader r;
    leat_json_token token = LEAT_JSON_NULL;
    bool found = false;
    leat_json_reader_init(&r, text_of(j, KEY_OPS), &scratch, MAX_DEPTH);
    while (leat_json_next(&r, &token) == 0 && token != LEAT_JSON_END)
        found = found || (token == LEAT_JSON_STRING && leat_slice_is(r.text, "verify"));
    leat_buf_close(&scratch);
    return found;
}

static int describe(leat_jwk *key, const struct jwk *j, const char **reason)
{
    *reason = "the JWK is not for signatures (its use, key_ops or alg)";
    if ((j->has[USE] && !leat_slice_is(text_of(j, USE), "sig")) || !may_verify(j))
        return LEAT_EBADMSG;
    if (j->has[ALG] &&
        (!leat_jwt_alg_of(text_of(j, ALG), &key->only) || !leat_jwk_fits(key, key->only)))
        return LEAT_EBADMSG;
    leat_slice kid = text_of(j, KID);
    *reason = "the kid of the JWK is too long";
    if (kid.len > MAX_KID_BYTES)
        return LEAT_EBADMSG;
    if (j->has[KID]) {
        key->kid = leat_memdup(kid.len > 0 ? kid.at : "", kid.len);
        key->kid_len = kid.len;
    }
    return 0;
}

int leat_jwk_read(leat_jwk **out, leat_slice json, const char **reason)
{
    struct jwk j = {.has = {false}};
    leat_buf scratch = LEAT_BUF_INIT;
    leat_json_reader r;
    leat_json_reader_init(&r, json, &scratch, MAX_DEPTH);
    leat_jwk *key = NULL;
    *reason = "the JWK is no JSON object, has a member twice, or one of a wrong type";
    int err = leat_jwt_json_check(json, MAX_DEPTH);
    if (err == 0)
        err = collect(&j, &r);
    if (err == 0)
        err = make(&key, &j, reason);
    if (err == 0)
        err = describe(key, &j, reason);
    for (size_t m = 0; m < MEMBERS; m++)
        wipe(&j.texts[m]);
    wipe(&scratch);
    if (err < 0)
        leat_jwk_free(key);
    else
        *out = key;
    return err < 0 ? LEAT_EBADMSG : 0;
}
