/* crypto.h - hashes, message authentication codes, random bytes and base64, by OpenSSL.
 *
 * Ownership  appends to the caller's buffer; keeps nothing.
 * Threads    any.
 * Units      bytes.
 * Errors     LEAT_EBADMSG for text that is not base64. The rest cannot fail: what OpenSSL can
 *            refuse here (an algorithm that it was built without, a random generator that has no
 *            seed) stops the process.
 */
#ifndef LEAT_WIRE_CRYPTO_H
#define LEAT_WIRE_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* Has OpenSSL not clean up in exit(), while threads may still use it. Without effect if something
 * in this process has used OpenSSL before. */
void leat_crypto_outlive_exit(void);

/* The hash functions of FIPS 180-4 that are offered. */
typedef enum leat_hash {
    LEAT_HASH_SHA256,
    LEAT_HASH_SHA384,
    LEAT_HASH_SHA512,
} leat_hash;

/* True and the function, if one has that name ("sha256"). */
bool leat_hash_of(const char *name, leat_hash *out);

/* OpenSSL's own, for signatures. */
const struct evp_md_st *leat_crypto_digest(leat_hash hash);

/* Append 32, 48 or 64 bytes. HMAC is RFC 2104's. */
void leat_crypto_hash(leat_buf *out, leat_hash hash, leat_slice text);
void leat_crypto_hmac(leat_buf *out, leat_hash hash, leat_slice key, leat_slice text);

/* True if both have the same bytes. For texts of one length the time does not depend on where they
 * differ. */
bool leat_crypto_equal(leat_slice a, leat_slice b);

/* Appends len bytes of the system's cryptographic random generator. */
void leat_crypto_random(leat_buf *out, size_t len);

/* The alphabets of RFC 4648: §4 with padding, §5 (base64url) without. */
typedef enum leat_base64 {
    LEAT_BASE64,
    LEAT_BASE64_URL,
} leat_base64;

void leat_base64_write(leat_buf *out, leat_base64 alphabet, leat_slice bytes);
/* Takes exactly what leat_base64_write makes: one text for one run of bytes, so that nobody can
 * write the same token in two ways. Appends nothing on failure. */
LEAT_MUST_CHECK int leat_base64_read(leat_buf *out, leat_base64 alphabet, leat_slice text);

#endif
