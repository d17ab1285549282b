/* The payload is cut into fields from the left; the last one, data, goes to the end. The MAC is the
 * first half of HMAC-SHA256 over the sender's number, a newline, and everything behind the
 * payload's first newline. The HMAC is computed here from its two blocks with one digest context
 * that is used again and again, since OpenSSL's own HMAC copies (and allocates) a context for each
 * message.
 */
#include "wire/announcement.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/mem.h"
#include "wire/leat_v1.h"

enum { BLOCK_LEN = 64, DIGEST_LEN = 32, AT_MAX_DIGITS = 17, SEQ_MAX_DIGITS = 16 };

struct leat_announcement_seal {
    EVP_MD_CTX *digest;
    bool has_key;
    unsigned char inner[BLOCK_LEN]; /* the key, as RFC 2104 mixes it with ipad... */
    unsigned char outer[BLOCK_LEN]; /* ...and with opad */
};

/* Cuts the next field off *rest; false if no newline ends it. */
static bool cut_field(leat_slice *rest, leat_slice *field)
{
    const char *end = rest->len == 0 ? NULL : memchr(rest->at, '\n', rest->len);
    if (end == NULL)
        return false;
    *field = (leat_slice){rest->at, (size_t)(end - rest->at)};
    *rest = (leat_slice){end + 1, rest->len - field->len - 1};
    return true;
}

static bool parse_number(leat_slice text, size_t max_digits, int64_t *out)
{
    if (text.len == 0 || text.len > max_digits)
        return false;
    int64_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        n = n * 10 + (text.at[i] - '0');
    }
    *out = n;
    return true;
}

static bool is_mac(leat_slice text)
{
    if (text.len != LEAT_ANNOUNCEMENT_MAC_LEN)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if ((text.at[i] < '0' || text.at[i] > '9') && (text.at[i] < 'a' || text.at[i] > 'f'))
            return false;
    return true;
}

/* Kind E is an event whose data was left out; the others are what their letter says. */
static bool parse_kind(leat_slice text, leat_announcement *a, bool *has_data)
{
    static const struct {
        char letter;
        leat_announcement_kind kind;
        bool has_data;
    } kinds[] = {
        {'e', LEAT_ANNOUNCE_EVENT, true},  {'E', LEAT_ANNOUNCE_EVENT, false},
        {'r', LEAT_ANNOUNCE_REVOKE, true}, {'y', LEAT_ANNOUNCE_RESYNC, true},
        {'s', LEAT_ANNOUNCE_SIGNAL, true}, {'h', LEAT_ANNOUNCE_HISTORY, false},
    };
    for (size_t i = 0; text.len == 1 && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (kinds[i].letter != text.at[0])
            continue;
        a->kind = kinds[i].kind;
        *has_data = kinds[i].has_data;
        return true;
    }
    return false;
}

/* An entry of the log has a number; a signal has none; a change of history has no topic either. */
static bool is_consistent(const leat_announcement *a, bool has_data)
{
    bool stored = a->kind != LEAT_ANNOUNCE_SIGNAL && a->kind != LEAT_ANNOUNCE_HISTORY;
    bool named = a->kind == LEAT_ANNOUNCE_HISTORY ? a->topic.len == 0 : leat_v1_topic_ok(a->topic);
    return named && stored == (a->seq > 0) && a->seq <= LEAT_SEQ_MAX &&
           has_data == (a->data.len > 0);
}

int leat_announcement_parse(leat_announcement *out, leat_slice payload)
{
    leat_slice kind, seq, at;
    leat_slice rest = payload;
    leat_announcement a = {0};
    bool has_data;
    if (!cut_field(&rest, &a.mac) || !cut_field(&rest, &kind) || !cut_field(&rest, &a.epoch) ||
        !cut_field(&rest, &seq) || !cut_field(&rest, &at) || !cut_field(&rest, &a.topic))
        return LEAT_EBADMSG;
    if (!is_mac(a.mac) || !parse_kind(kind, &a, &has_data) ||
        !parse_number(seq, SEQ_MAX_DIGITS, &a.seq) || !parse_number(at, AT_MAX_DIGITS, &a.at))
        return LEAT_EBADMSG;
    a.data = rest;
    if (!is_consistent(&a, has_data))
        return LEAT_EBADMSG;
    if (!has_data)
        a.data = (leat_slice){NULL, 0};
    *out = a;
    return 0;
}

leat_announcement_seal *leat_announcement_seal_new(void)
{
    leat_announcement_seal *s = leat_calloc(1, sizeof(*s));
    s->digest = EVP_MD_CTX_new();
    int ok = s->digest != NULL && EVP_DigestInit_ex(s->digest, EVP_sha256(), NULL);
    LEAT_ASSERT(ok);
    return s;
}

void leat_announcement_seal_free(leat_announcement_seal *s)
{
    if (s == NULL)
        return;
    EVP_MD_CTX_free(s->digest);
    OPENSSL_cleanse(s, sizeof(*s));
    free(s);
}

int leat_announcement_seal_key(leat_announcement_seal *s, leat_slice key)
{
    if (key.len != LEAT_ANNOUNCEMENT_KEY_LEN)
        return LEAT_EBADMSG;
    bool other = !s->has_key;
    for (size_t i = 0; i < BLOCK_LEN; i++) {
        unsigned char byte = i < key.len ? (unsigned char)key.at[i] : 0;
        other = other || s->inner[i] != (byte ^ 0x36);
        s->inner[i] = byte ^ 0x36;
        s->outer[i] = byte ^ 0x5c;
    }
    s->has_key = true;
    return other ? 1 : 0;
}

/* The digest of up to three pieces. */
static bool digest_of(EVP_MD_CTX *c, const leat_slice *pieces, size_t n, unsigned char *out)
{
    bool ok = EVP_DigestInit_ex(c, NULL, NULL);
    for (size_t i = 0; ok && i < n; i++)
        ok = EVP_DigestUpdate(c, pieces[i].at, pieces[i].len);
    return ok && EVP_DigestFinal_ex(c, out, NULL);
}

bool leat_announcement_is_sealed(leat_announcement_seal *s, leat_slice payload, int sender_pid)
{
    static const char digits[] = "0123456789abcdef";
    size_t start = LEAT_ANNOUNCEMENT_MAC_LEN + 1;
    if (!s->has_key || payload.len < start)
        return false;
    char sender[16];
    unsigned char digest[DIGEST_LEN];
    size_t sender_len = (size_t)snprintf(sender, sizeof(sender), "%d\n", sender_pid);
    leat_slice message[] = {{(const char *)s->inner, BLOCK_LEN},
                            {sender, sender_len},
                            {payload.at + start, payload.len - start}};
    leat_slice sealed[] = {{(const char *)s->outer, BLOCK_LEN}, {(const char *)digest, DIGEST_LEN}};
    if (!digest_of(s->digest, message, 3, digest) || !digest_of(s->digest, sealed, 2, digest))
        return false;
    char mac[LEAT_ANNOUNCEMENT_MAC_LEN];
    for (size_t i = 0; i < sizeof(mac); i += 2) {
        mac[i] = digits[digest[i / 2] >> 4];
        mac[i + 1] = digits[digest[i / 2] & 15];
    }
    return CRYPTO_memcmp(mac, payload.at, sizeof(mac)) == 0;
}
