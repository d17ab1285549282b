#include "wire/crypto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(text) ((leat_slice){text, sizeof(text) - 1})

static void assert_hex(const leat_buf *bytes, const char *expected)
{
    char hex[129] = "";
    assert_true(bytes->len * 2 < sizeof(hex));
    for (size_t i = 0; i < bytes->len; i++)
        snprintf(hex + 2 * i, 3, "%02x", (unsigned char)bytes->at[i]);
    assert_string_equal(hex, expected);
}

/* FIPS 180-4's examples for "abc". */
static void hashes_as_the_standard_says(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *digest;
    } cases[] = {
        {"sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"sha384", "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
                   "8086072ba1e7cc2358baeca134c825a7"},
        {"sha512", "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                   "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
    };
    for (size_t i = 0; i < 3; i++) {
        leat_hash hash;
        leat_buf out = LEAT_BUF_INIT;
        assert_true(leat_hash_of(cases[i].name, &hash));
        leat_crypto_hash(&out, hash, BYTES("abc"));
        assert_hex(&out, cases[i].digest);
        leat_buf_close(&out);
    }
    leat_hash hash;
    assert_false(leat_hash_of("md5", &hash));
}

/* RFC 4231 §4.2 and §4.3; an empty key and text have no example there. */
static void authenticates_as_the_rfc_says(void **state)
{
    (void)state;
    leat_buf out = LEAT_BUF_INIT;

    leat_crypto_hmac(
        &out, LEAT_HASH_SHA256,
        BYTES("\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"
              "\x0b\x0b"),
        BYTES("Hi There"));
    assert_hex(&out, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    out.len = 0;
    leat_crypto_hmac(&out, LEAT_HASH_SHA512, BYTES("Jefe"), BYTES("what do ya want for nothing?"));
    assert_hex(&out, "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
                     "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737");
    out.len = 0;
    leat_crypto_hmac(&out, LEAT_HASH_SHA256, (leat_slice){NULL, 0}, (leat_slice){NULL, 0});
    assert_hex(&out, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");

    leat_buf_close(&out);
}

static void compares_bytes(void **state)
{
    (void)state;
    assert_true(leat_crypto_equal(BYTES("a\0b"), BYTES("a\0b")));
    assert_false(leat_crypto_equal(BYTES("a\0b"), BYTES("a\0c")));
    assert_false(leat_crypto_equal(BYTES("a"), BYTES("ab")));
    assert_true(leat_crypto_equal(BYTES(""), (leat_slice){NULL, 0}));
}

static void random_bytes_differ(void **state)
{
    (void)state;
    leat_buf a = LEAT_BUF_INIT;
    leat_buf b = LEAT_BUF_INIT;

    leat_crypto_random(&a, 32);
    leat_crypto_random(&b, 32);

    assert_int_equal(a.len, 32);
    assert_memory_not_equal(a.at, b.at, 32);
    leat_buf_close(&a);
    leat_buf_close(&b);
}

/* RFC 4648 §10, and bytes whose text has both characters that the alphabets differ in. */
static const struct {
    leat_slice bytes;
    const char *padded;
    const char *url;
} base64_cases[] = {
    {BYTES(""), "", ""},
    {BYTES("f"), "Zg==", "Zg"},
    {BYTES("fo"), "Zm8=", "Zm8"},
    {BYTES("foo"), "Zm9v", "Zm9v"},
    {BYTES("foob"), "Zm9vYg==", "Zm9vYg"},
    {BYTES("fooba"), "Zm9vYmE=", "Zm9vYmE"},
    {BYTES("foobar"), "Zm9vYmFy", "Zm9vYmFy"},
    {BYTES("\xfb\xff\x00"), "+/8A", "-_8A"},
};

static void writes_and_reads_base64(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(base64_cases) / sizeof(base64_cases[0]); i++) {
        for (leat_base64 alphabet = LEAT_BASE64; alphabet <= LEAT_BASE64_URL; alphabet++) {
            const char *text =
                alphabet == LEAT_BASE64 ? base64_cases[i].padded : base64_cases[i].url;
            leat_buf out = LEAT_BUF_INIT;
            leat_buf_char(&out, '>');

            leat_base64_write(&out, alphabet, base64_cases[i].bytes);
            assert_int_equal(out.len, 1 + strlen(text));
            assert_memory_equal(out.at + 1, text, strlen(text));
            out.len = 1;
            assert_int_equal(leat_base64_read(&out, alphabet, leat_slice_of(text)), 0);
            assert_int_equal(out.len, 1 + base64_cases[i].bytes.len);
            assert_memory_equal(out.at + 1, base64_cases[i].bytes.at, base64_cases[i].bytes.len);

            leat_buf_close(&out);
        }
    }
}

static void refuses_every_other_text(void **state)
{
    (void)state;
    static const struct {
        leat_base64 alphabet;
        leat_slice text;
    } cases[] = {
        {LEAT_BASE64, BYTES("Zg")},        {LEAT_BASE64, BYTES("Zg=")},
        {LEAT_BASE64, BYTES("Zg===")},     {LEAT_BASE64, BYTES("Z")},
        {LEAT_BASE64, BYTES("Zh==")}, /* bits that no byte uses */
        {LEAT_BASE64, BYTES("-_8A")},      {LEAT_BASE64, BYTES(" Zm9v")},
        {LEAT_BASE64, BYTES("Zm9v\n")},    {LEAT_BASE64, BYTES("Zm9v\0")},
        {LEAT_BASE64, BYTES("=")},         {LEAT_BASE64, BYTES("====")},
        {LEAT_BASE64, BYTES("Zg==Zg==")},  {LEAT_BASE64, BYTES("Zm9\xc3")},
        {LEAT_BASE64_URL, BYTES("Zg==")},  {LEAT_BASE64_URL, BYTES("Zm8=")},
        {LEAT_BASE64_URL, BYTES("Z")},     {LEAT_BASE64_URL, BYTES("Zh")},
        {LEAT_BASE64_URL, BYTES("+/8A")},  {LEAT_BASE64_URL, BYTES("Zm9v ")},
        {LEAT_BASE64_URL, BYTES("Zm9vZ")},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        leat_buf out = LEAT_BUF_INIT;

        int err = leat_base64_read(&out, cases[i].alphabet, cases[i].text);

        if (err != LEAT_EBADMSG || out.len != 0)
            fail_msg("case %zu: %d", i, err);
        leat_buf_close(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_as_the_standard_says),
        cmocka_unit_test(authenticates_as_the_rfc_says),
        cmocka_unit_test(compares_bytes),
        cmocka_unit_test(random_bytes_differ),
        cmocka_unit_test(writes_and_reads_base64),
        cmocka_unit_test(refuses_every_other_text),
    };
    return cmocka_run_group_tests_name("wire/crypto", tests, NULL, NULL);
}
