/* Tokens, keys and signed cookies. The input is taken as each of them as it is; and as header and
 * claims of a token that carries a good signature, so that what comes behind the signature is
 * reached, too. */
#include "fuzz.h"

#include <string.h>

#include "wire/cookie.h"
#include "wire/crypto.h"
#include "wire/jwk_set.h"
#include "wire/jwt_claims.h"

#define ANY ((1u << LEAT_JWT_ALGS) - 1)
#define SECRET "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

enum { MAX_BYTES = 16384 };

static leat_slice secret(void)
{
    return leat_slice_of(SECRET);
}

static void check_claims(leat_slice json)
{
    leat_jwt_claims_rules rules = {.now = 1000, .any_audience = true};
    leat_jwt_result loose = leat_jwt_claims_check(json, &rules);
    rules.required = (leat_jwt_claims_names){1, {{"exp", 3}}};
    rules.issuers = (leat_jwt_claims_names){1, {{"i", 1}}};
    rules.any_audience = false;
    /* Asking for more lets nobody in who was kept out. */
    CHECK(loose == LEAT_JWT_OK || leat_jwt_claims_check(json, &rules) != LEAT_JWT_OK);
}

/* Reads a token, and verifies it with the secret. */
static leat_jwt_result verify(leat_slice token)
{
    static leat_jwk_set *set; /* made once: libFuzzer runs in one thread */
    const char *reason = NULL;
    if (set == NULL) {
        set = leat_jwk_set_new();
        CHECK(leat_jwk_set_add_secret(set, secret(), &reason) == 0);
    }
    leat_jwt jwt;
    leat_buf scratch = LEAT_BUF_INIT;
    leat_buf bytes = LEAT_BUF_INIT;
    const leat_jwk *keys[LEAT_JWK_SET_TRIES];
    leat_jwt_result result = leat_jwt_read(&jwt, token, MAX_BYTES, ANY, &scratch);
    CHECK(leat_jwt_read(&jwt, token, MAX_BYTES, 0, &scratch) != LEAT_JWT_OK);
    if (result == LEAT_JWT_OK) {
        CHECK(leat_jwt_read(&jwt, token, MAX_BYTES, ANY, &scratch) == LEAT_JWT_OK);
        size_t n = leat_jwk_set_find(set, jwt.alg, jwt.kid, keys);
        if (n == 0 || leat_base64_read(&bytes, LEAT_BASE64_URL, jwt.signature) < 0 ||
            !leat_jwk_verify(keys[0], jwt.alg, jwt.signed_text, leat_buf_view(&bytes)))
            result = LEAT_JWT_SIGNATURE;
    }
    if (result == LEAT_JWT_OK && leat_jwt_payload(&jwt, &bytes) == LEAT_JWT_OK)
        check_claims(leat_buf_view(&bytes));
    leat_buf_close(&scratch);
    leat_buf_close(&bytes);
    return result;
}

/* The first line is the header, the rest the claims. */
static void check_signed(leat_slice input)
{
    const char *end = memchr(input.at, '\n', input.len);
    size_t len = end == NULL ? input.len : (size_t)(end - input.at);
    size_t used = len + (end != NULL);
    leat_buf token = LEAT_BUF_INIT;
    leat_buf mac = LEAT_BUF_INIT;
    leat_base64_write(&token, LEAT_BASE64_URL, (leat_slice){input.at, len});
    leat_buf_char(&token, '.');
    leat_base64_write(&token, LEAT_BASE64_URL, (leat_slice){input.at + used, input.len - used});
    leat_crypto_hmac(&mac, LEAT_HASH_SHA256, secret(), leat_buf_view(&token));
    leat_buf_char(&token, '.');
    leat_base64_write(&token, LEAT_BASE64_URL, leat_buf_view(&mac));
    bool good = verify(leat_buf_view(&token)) == LEAT_JWT_OK;
    token.at[token.len / 2] ^= 1;
    CHECK(!good || verify(leat_buf_view(&token)) != LEAT_JWT_OK);
    leat_buf_close(&token);
    leat_buf_close(&mac);
}

static void check_keys(leat_slice input)
{
    const char *reason = NULL;
    leat_jwk_set *published = leat_jwk_set_new();
    leat_jwk_set *own = leat_jwk_set_new();
    (void)leat_jwk_set_add_json(published, input, LEAT_JWK_SET_PROVIDER, &reason);
    /* What a URL publishes is no secret. */
    CHECK(!leat_jwk_set_fits(published, LEAT_JWT_HS256));
    if (leat_jwk_set_add_json(own, input, LEAT_JWK_SET_OPERATOR, &reason) < 0)
        CHECK(reason != NULL);
    (void)leat_jwk_set_add_pem(own, input, &reason);
    (void)leat_jwk_set_add_secret(own, input, &reason);
    leat_jwk_set_unref(published);
    leat_jwk_set_unref(own);
}

static void check_cookie(leat_slice input)
{
    leat_cookie_check check = {.secrets = {secret()}, .n_secrets = 1, .now = 1000};
    leat_slice value;
    int64_t expires_at = 0;
    leat_buf text = LEAT_BUF_INIT;
    (void)leat_cookie_verify(input, &check, &value, &expires_at);
    if (leat_cookie_sign(&text, secret(), leat_slice_of(""), input, 0) == 0) {
        CHECK(leat_cookie_verify(leat_buf_view(&text), &check, &value, &expires_at) ==
              LEAT_COOKIE_OK);
        CHECK(leat_slice_equal(value, input) && expires_at == 0);
        text.at[0] ^= 1;
        CHECK(leat_cookie_verify(leat_buf_view(&text), &check, &value, &expires_at) !=
              LEAT_COOKIE_OK);
    }
    leat_buf_close(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size > 0 ? size : 1);
    memcpy(copy, data, size);
    leat_slice input = {copy, size};
    (void)verify(input);
    check_signed(input);
    check_keys(input);
    check_cookie(input);
    free(copy);
    return 0;
}
