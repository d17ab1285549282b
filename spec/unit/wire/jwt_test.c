/* Examples of the RFCs, whole and changed; and what no reader of tokens may take. */
#include "wire/jwt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <openssl/bn.h>

#include "wire/crypto.h"
#include "wire/jwk_set.h"
#include "wire/jwt_claims.h"

#define ANY ((1u << LEAT_JWT_ALGS) - 1)
#define MAX_BYTES 4096

/* RFC 7515, appendix A */
#define CLAIMS_7515                                                                                \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl" \
    "fQ"
/* RFC 7520, figures 7 and 8 */
#define TEXT_7520                                                                                  \
    "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250" \
    "byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hl" \
    "cmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4"
#define RSA_7520                                                                                   \
    "{\"kty\":\"RSA\",\"kid\":\"bilbo.baggins@hobbiton.example\",\"use\":\"sig\",\"e\":\"AQAB\","  \
    "\"n\":\"n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-"                            \
    "XV2jRojdNhxJWTDvNd7nqQ0VEiZQ"                                                                 \
    "Hz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-"            \
    "oBHqFEHYpPe7"                                                                                 \
    "Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_"   \
    "vni"                                                                                          \
    "UFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw\"}"

static const struct example {
    const char *where;
    leat_jwt_alg alg;
    const char *jwk;
    const char *token;
} examples[] = {
    {"RFC 7515 A.1", LEAT_JWT_HS256,
     "{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4"
     "hcgUuTwjAzZr1Z9CAow\"}",
     "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." CLAIMS_7515
     ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"},
    {"RFC 7515 A.2", LEAT_JWT_RS256,
     "{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W2"
     "6mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47s"
     "oMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQ"
     "Y4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9g"
     "b54h4FRWyuXpoQ\"}",
     "eyJhbGciOiJSUzI1NiJ9." CLAIMS_7515
     ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2F"
     "p5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMH"
     "lb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9"
     "QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"},
    {"RFC 7515 A.3", LEAT_JWT_ES256,
     "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
     "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\","
     "\"d\":\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI\"}",
     "eyJhbGciOiJFUzI1NiJ9." CLAIMS_7515
     ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"},
    {"RFC 7520 4.1", LEAT_JWT_RS256, RSA_7520,
     "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9." TEXT_7520
     ".MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xu"
     "glII7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE"
     "6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQ"
     "SE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg"},
    {"RFC 7520 4.2", LEAT_JWT_PS384, RSA_7520,
     "eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9." TEXT_7520
     ".cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8"
     "TTB5dDDItllVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBq"
     "rYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRH"
     "tfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw"},
    {"RFC 7520 4.3", LEAT_JWT_ES512,
     "{\"kty\":\"EC\",\"kid\":\"bilbo.baggins@hobbiton.example\",\"use\":\"sig\",\"crv\":\"P-521\","
     "\"x\":\"AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5c"
     "j0Kt\",\"y\":\"AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cw"
     "lGfP-HqHZR1\"}",
     "eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9." TEXT_7520
     ".AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQ"
     "y3mtPBu_u_sDDyYjnAMDxXPn7XrT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2"},
    {"RFC 7520 4.4", LEAT_JWT_HS256,
     "{\"kty\":\"oct\",\"kid\":\"018c0ae5-4d9b-471b-bfd6-eef314bc7037\",\"use\":\"sig\","
     "\"alg\":\"HS256\",\"k\":\"hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg\"}",
     "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9." TEXT_7520
     ".s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0"},
    {"RFC 8037 A.4", LEAT_JWT_EDDSA,
     "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
     "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcv"
     "Mg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"},
};

enum { N_EXAMPLES = sizeof(examples) / sizeof(examples[0]) };

static leat_jwk_set *set_of(const char *jwk)
{
    const char *reason = NULL;
    leat_jwk_set *set = leat_jwk_set_new();
    assert_int_equal(leat_jwk_set_add_json(set, leat_slice_of(jwk), LEAT_JWK_SET_OPERATOR, &reason),
                     0);
    return set;
}

static leat_jwt_result verify(const leat_jwk_set *set, leat_slice token, unsigned algs)
{
    leat_buf scratch = LEAT_BUF_INIT;
    leat_buf signature = LEAT_BUF_INIT;
    leat_jwt jwt;
    const leat_jwk *keys[LEAT_JWK_SET_TRIES];
    leat_jwt_result result = leat_jwt_read(&jwt, token, MAX_BYTES, algs, &scratch);
    if (result == LEAT_JWT_OK && leat_jwk_set_find(set, jwt.alg, jwt.kid, keys) == 0)
        result = LEAT_JWT_KEY;
    if (result == LEAT_JWT_OK && leat_base64_read(&signature, LEAT_BASE64_URL, jwt.signature) < 0)
        result = LEAT_JWT_MALFORMED;
    if (result == LEAT_JWT_OK &&
        !leat_jwk_verify(keys[0], jwt.alg, jwt.signed_text, leat_buf_view(&signature)))
        result = LEAT_JWT_SIGNATURE;
    leat_buf_close(&scratch);
    leat_buf_close(&signature);
    return result;
}

static void takes_the_examples_of_the_rfcs(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_EXAMPLES; i++) {
        const struct example *e = &examples[i];
        leat_jwk_set *set = set_of(e->jwk);
        if (verify(set, leat_slice_of(e->token), LEAT_JWT_BIT(e->alg)) != LEAT_JWT_OK)
            fail_msg("%s is refused", e->where);
        assert_int_equal(verify(set, leat_slice_of(e->token), ANY & ~LEAT_JWT_BIT(e->alg)),
                         LEAT_JWT_ALGORITHM);
        leat_jwk_set_unref(set);
    }
}

/* Each byte of each example, with its lowest bit changed. */
static void takes_no_changed_example(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_EXAMPLES; i++) {
        const struct example *e = &examples[i];
        leat_jwk_set *set = set_of(e->jwk);
        size_t len = strlen(e->token);
        char *token = strdup(e->token);
        for (size_t at = 0; at < len; at++) {
            token[at] ^= 1;
            assert_int_not_equal(verify(set, (leat_slice){token, len}, ANY), LEAT_JWT_OK);
            token[at] ^= 1;
            if (at % 7 == 0) /* cut off */
                assert_int_not_equal(verify(set, (leat_slice){token, at}, ANY), LEAT_JWT_OK);
        }
        free(token);
        leat_jwk_set_unref(set);
    }
}

static void takes_no_example_by_a_key_of_another(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_EXAMPLES; i++) {
        for (size_t k = 0; k < N_EXAMPLES; k++) {
            if (strcmp(examples[i].jwk, examples[k].jwk) == 0)
                continue;
            leat_jwk_set *set = set_of(examples[k].jwk);
            assert_int_not_equal(verify(set, leat_slice_of(examples[i].token), ANY), LEAT_JWT_OK);
            leat_jwk_set_unref(set);
        }
    }
}

/* RFC 7515 A.5. */
static void takes_no_unsecured_token(void **state)
{
    (void)state;
    leat_jwk_set *set = set_of(examples[0].jwk);
    assert_int_equal(verify(set, leat_slice_of("eyJhbGciOiJub25lIn0." CLAIMS_7515 "."), ANY),
                     LEAT_JWT_ALGORITHM);
    leat_jwk_set_unref(set);
}

static leat_jwt_result read_header(const char *json, leat_jwt *out, leat_buf *scratch)
{
    leat_buf token = LEAT_BUF_INIT;
    leat_base64_write(&token, LEAT_BASE64_URL, leat_slice_of(json));
    leat_buf_text(&token, "..");
    leat_jwt_result result = leat_jwt_read(out, leat_buf_view(&token), MAX_BYTES, ANY, scratch);
    leat_buf_close(&token);
    return result;
}

static void reads_headers(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        leat_jwt_result result;
        const char *kid;
        const char *typ;
    } cases[] = {
        {"{\"alg\":\"RS256\"}", LEAT_JWT_OK, NULL, NULL},
        {"{\"kid\":\"\",\"typ\":\"JWT\",\"alg\":\"RS256\"}", LEAT_JWT_OK, "", "JWT"},
        {"{\"alg\":\"RS256\",\"kid\":\"\\u0061\",\"x5c\":[[]]}", LEAT_JWT_OK, "a", NULL},
        {"{}", LEAT_JWT_MALFORMED, NULL, NULL},
        {"{\"alg\":1}", LEAT_JWT_MALFORMED, NULL, NULL},
        {"{\"alg\":\"RS256\",\"typ\":1}", LEAT_JWT_MALFORMED, NULL, NULL},
        {"{\"alg\":\"none\"}", LEAT_JWT_ALGORITHM, NULL, NULL},
        {"{\"alg\":\"none\",\"crit\":[]}", LEAT_JWT_ALGORITHM, NULL, NULL},
        {"{\"crit\":[\"exp\"],\"alg\":\"RS256\"}", LEAT_JWT_CRITICAL, NULL, NULL},
    };
    leat_buf scratch = LEAT_BUF_INIT;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        leat_jwt jwt;
        assert_int_equal(read_header(cases[i].json, &jwt, &scratch), cases[i].result);
        if (cases[i].result != LEAT_JWT_OK)
            continue;
        assert_true(leat_slice_equal(jwt.kid, leat_slice_of(cases[i].kid)));
        assert_int_equal(jwt.kid.at == NULL, cases[i].kid == NULL);
        assert_true(leat_slice_equal(jwt.typ, leat_slice_of(cases[i].typ)));
    }
    leat_buf_close(&scratch);
}

static void judges_claims(void **state)
{
    (void)state;
    static const leat_jwt_claims_rules rules = {
        .now = 1000,
        .leeway_s = 10,
        .issuers = {1, {{"i", 1}}},
        .audiences = {2, {{"a", 1}, {"b", 1}}},
        .required = {1, {{"exp", 3}}},
    };
    static const struct {
        const char *json;
        leat_jwt_result result;
    } cases[] = {
        {"{\"exp\":1001,\"iss\":\"i\",\"aud\":\"a\"}", LEAT_JWT_OK},
        {"{\"exp\":991,\"iss\":\"i\",\"aud\":[\"x\",\"b\"]}", LEAT_JWT_OK},
        {"{\"exp\":990,\"iss\":\"i\",\"aud\":\"a\"}", LEAT_JWT_EXPIRED},
        {"{\"exp\":1001,\"nbf\":1010,\"iss\":\"i\",\"aud\":\"a\"}", LEAT_JWT_OK},
        {"{\"exp\":1001,\"nbf\":1011,\"iss\":\"i\",\"aud\":\"a\"}", LEAT_JWT_NOT_YET_VALID},
        {"{\"exp\":1001,\"iat\":1011,\"iss\":\"i\",\"aud\":\"a\"}", LEAT_JWT_NOT_YET_VALID},
        {"{\"exp\":1001,\"iss\":\"I\",\"aud\":\"a\"}", LEAT_JWT_ISSUER},
        {"{\"exp\":1001,\"iss\":\"i\",\"aud\":[]}", LEAT_JWT_AUDIENCE},
        {"{\"exp\":1001,\"iss\":\"i\"}", LEAT_JWT_AUDIENCE},
        {"{\"iss\":\"i\",\"aud\":\"a\"}", LEAT_JWT_CLAIM},
        {"{\"exp\":1e3,\"iss\":\"i\",\"aud\":\"a\"}", LEAT_JWT_MALFORMED},
        {"{\"exp\":1001,\"iss\":\"i\",\"aud\":\"a\",\"aud\":\"a\"}", LEAT_JWT_MALFORMED},
        {"{\"exp\":1001,\"iss\":\"i\",\"aud\":[[\"a\"]]}", LEAT_JWT_MALFORMED},
        {"[]", LEAT_JWT_MALFORMED},
        {"", LEAT_JWT_MALFORMED},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (leat_jwt_claims_check(leat_slice_of(cases[i].json), &rules) != cases[i].result)
            fail_msg("%s", cases[i].json);
}

/* A number of 8,192 bits without small factors, as base64url: a multiple of all small primes, and
 * one more. */
static void write_modulus(leat_buf *out)
{
    char bytes[1024];
    BIGNUM *n = BN_new();
    BIGNUM *high = BN_new();
    BN_one(n);
    for (BN_ULONG prime = 2; prime < 1000; prime++)
        if (prime == 2 || BN_mod_word(n, prime) != 0)
            BN_mul_word(n, prime);
    BN_set_bit(high, (int)(8 * sizeof(bytes)) - BN_num_bits(n));
    BN_sub_word(high, 1);
    BN_CTX *ctx = BN_CTX_new();
    BN_mul(n, n, high, ctx);
    BN_add_word(n, 1);
    assert_int_equal(BN_bn2binpad(n, (unsigned char *)bytes, sizeof(bytes)), sizeof(bytes));
    leat_base64_write(out, LEAT_BASE64_URL, (leat_slice){bytes, sizeof(bytes)});
    BN_CTX_free(ctx);
    BN_free(high);
    BN_free(n);
}

/* The loop reads the keys of a URL, and everybody waits meanwhile. The bound is one of processor
 * time; a search for factors would take ten times as much. */
static void reads_many_large_keys_at_once(void **state)
{
    (void)state;
    leat_buf modulus = LEAT_BUF_INIT;
    leat_buf json = LEAT_BUF_INIT;
    const char *reason = NULL;
    write_modulus(&modulus);
    leat_buf_text(&json, "{\"keys\":[");
    for (int i = 0; i < LEAT_JWK_SET_MAX; i++)
        leat_buf_printf(&json, "%s{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"%.*s\"}",
                        i == 0 ? "" : ",", (int)modulus.len, modulus.at);
    leat_buf_text(&json, "]}");
    leat_jwk_set *set = leat_jwk_set_new();

    clock_t before = clock();
    assert_int_equal(
        leat_jwk_set_add_json(set, leat_buf_view(&json), LEAT_JWK_SET_PROVIDER, &reason), 0);

    assert_true(clock() - before < 2 * CLOCKS_PER_SEC);
    assert_true(leat_jwk_set_fits(set, LEAT_JWT_RS256));
    leat_jwk_set_unref(set);
    leat_buf_close(&json);
    leat_buf_close(&modulus);
}

/* Also one that cannot be used takes time. */
static void counts_the_keys_of_a_provider_that_cannot_be_used(void **state)
{
    (void)state;
    for (int extra = 0; extra < 2; extra++) {
        leat_buf json = LEAT_BUF_INIT;
        const char *reason = NULL;
        leat_buf_text(&json, "{\"keys\":[");
        for (int i = 0; i < LEAT_JWK_SET_MAX + extra; i++)
            leat_buf_printf(&json, "%s{\"kty\":\"EC\"}", i == 0 ? "" : ",");
        leat_buf_text(&json, "]}");
        leat_jwk_set *set = leat_jwk_set_new();

        assert_int_equal(
            leat_jwk_set_add_json(set, leat_buf_view(&json), LEAT_JWK_SET_PROVIDER, &reason),
            LEAT_EBADMSG);

        assert_string_equal(reason, extra == 0 ? "the JWK set has no key that can be used"
                                               : "a set may have 100 keys at most");
        leat_jwk_set_unref(set);
        leat_buf_close(&json);
    }
}

/* What no key can be is refused; what a maker of keys did wrong is not looked for. */
static void refuses_keys_that_cannot_be(void **state)
{
    (void)state;
    static const char *const keys[] = {
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
        "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a1\"}",
        "{\"kty\":\"RSA\",\"e\":\"AQ\",\"n\":\"AQAB\"}",
    };
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const char *reason = NULL;
        leat_jwk_set *set = leat_jwk_set_new();
        assert_true(
            leat_jwk_set_add_json(set, leat_slice_of(keys[i]), LEAT_JWK_SET_OPERATOR, &reason) < 0);
        assert_non_null(reason);
        leat_jwk_set_unref(set);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_examples_of_the_rfcs),
        cmocka_unit_test(takes_no_changed_example),
        cmocka_unit_test(takes_no_example_by_a_key_of_another),
        cmocka_unit_test(takes_no_unsecured_token),
        cmocka_unit_test(reads_many_large_keys_at_once),
        cmocka_unit_test(counts_the_keys_of_a_provider_that_cannot_be_used),
        cmocka_unit_test(refuses_keys_that_cannot_be),
        cmocka_unit_test(reads_headers),
        cmocka_unit_test(judges_claims),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
