/* Base64 goes through OpenSSL's codec, which knows only the alphabet of RFC 4648 §4 and takes more
 * than that: white space around the text, and bits that no byte uses. So a text is translated to
 * that alphabet, decoded, encoded again, and compared. */
#include "wire/crypto.h"

#include <limits.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

void leat_crypto_outlive_exit(void)
{
    int ok = OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
    LEAT_ASSERT(ok == 1);
}

const EVP_MD *leat_crypto_digest(leat_hash hash)
{
    switch (hash) {
    case LEAT_HASH_SHA256:
        return EVP_sha256();
    case LEAT_HASH_SHA384:
        return EVP_sha384();
    case LEAT_HASH_SHA512:
        return EVP_sha512();
    }
    return NULL;
}

bool leat_hash_of(const char *name, leat_hash *out)
{
    static const char *const names[] = {
        [LEAT_HASH_SHA256] = "sha256",
        [LEAT_HASH_SHA384] = "sha384",
        [LEAT_HASH_SHA512] = "sha512",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (leat_hash)i;
            return true;
        }
    }
    return false;
}

void leat_crypto_hash(leat_buf *out, leat_hash hash, leat_slice text)
{
    unsigned int len = 0;
    unsigned char *digest = (unsigned char *)leat_buf_reserve(out, EVP_MAX_MD_SIZE);
    int ok = EVP_Digest(text.at, text.len, digest, &len, leat_crypto_digest(hash), NULL);
    LEAT_ASSERT(ok == 1);
    out->len += len;
}

void leat_crypto_hmac(leat_buf *out, leat_hash hash, leat_slice key, leat_slice text)
{
    LEAT_ASSERT(key.len <= INT_MAX);
    unsigned int len = 0;
    unsigned char *digest = (unsigned char *)leat_buf_reserve(out, EVP_MAX_MD_SIZE);
    /* A NULL key would mean "the key before" to OpenSSL. */
    const unsigned char *made =
        HMAC(leat_crypto_digest(hash), key.len > 0 ? key.at : "", (int)key.len,
             (const unsigned char *)text.at, text.len, digest, &len);
    LEAT_ASSERT(made != NULL);
    out->len += len;
}

bool leat_crypto_equal(leat_slice a, leat_slice b)
{
    return a.len == b.len && (a.len == 0 || CRYPTO_memcmp(a.at, b.at, a.len) == 0);
}

void leat_crypto_random(leat_buf *out, size_t len)
{
    LEAT_ASSERT(len <= INT_MAX);
    int ok = RAND_bytes((unsigned char *)leat_buf_reserve(out, len), (int)len);
    LEAT_ASSERT(ok == 1);
    out->len += len;
}

static void replace(char *at, size_t len, char from, char to)
{
    for (size_t i = 0; i < len; i++)
        if (at[i] == from)
            at[i] = to;
}

void leat_base64_write(leat_buf *out, leat_base64 alphabet, leat_slice bytes)
{
    LEAT_ASSERT(bytes.len <= INT_MAX / 2);
    size_t groups = (bytes.len + 2) / 3;
    char *at = leat_buf_reserve(out, groups * 4 + 1); /* the encoder ends the text with a zero */
    EVP_EncodeBlock((unsigned char *)at, (const unsigned char *)bytes.at, (int)bytes.len);
    size_t len = groups * 4;
    if (alphabet == LEAT_BASE64_URL) {
        replace(at, len, '+', '-');
        replace(at, len, '/', '_');
        len = (bytes.len * 4 + 2) / 3;
    }
    out->len += len;
}

/* The text in the alphabet of RFC 4648 §4, with padding, followed by room for what it decodes to.
 */
static void write_padded(leat_buf *out, leat_base64 alphabet, leat_slice text)
{
    leat_buf_reserve(out, text.len * 2 + 8);
    leat_buf_slice(out, text);
    if (alphabet == LEAT_BASE64_URL) {
        replace(out->at, out->len, '-', '+');
        replace(out->at, out->len, '_', '/');
    }
    while (alphabet == LEAT_BASE64_URL && out->len % 4 != 0)
        leat_buf_char(out, '=');
}

int leat_base64_read(leat_buf *out, leat_base64 alphabet, leat_slice text)
{
    LEAT_ASSERT(text.len <= INT_MAX / 2);
    if (text.len == 0)
        return 0;
    leat_buf padded = LEAT_BUF_INIT;
    write_padded(&padded, alphabet, text);
    size_t padding = 0;
    while (padding < 2 && padding < padded.len && padded.at[padded.len - 1 - padding] == '=')
        padding++;
    size_t before = out->len;
    unsigned char *bytes = (unsigned char *)leat_buf_reserve(out, padded.len / 4 * 3 + 1);
    int len = EVP_DecodeBlock(bytes, (const unsigned char *)padded.at, (int)padded.len);
    leat_buf_close(&padded);
    if (len < (int)padding)
        return LEAT_EBADMSG;
    out->len += (size_t)len - padding;
    leat_buf again = LEAT_BUF_INIT;
    leat_base64_write(&again, alphabet, (leat_slice){out->at + before, out->len - before});
    bool exact = leat_slice_equal(leat_buf_view(&again), text);
    leat_buf_close(&again);
    if (!exact)
        out->len = before;
    return exact ? 0 : LEAT_EBADMSG;
}
