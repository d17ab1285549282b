/* The payload is cut into fields from the left; the last one, data, goes to the end. The MAC is the
 * first half of HMAC-SHA256 over the sender's number, a newline, and everything behind the
 * payload's first newline.
 *
 * The key's two blocks are digested once; each message goes on from copies of these states, on the
 * stack. That is why the digest is OpenSSL's plain SHA256 and not its EVP: EVP allocates a state
 * for each digest.
 */
#include "wire/announcement.h"

#include <stdlib.h>

/* SHA256_* are marked as deprecated in favour of EVP. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "base/mem.h"
#include "wire/leat_v1.h"

enum { BLOCK_LEN = SHA256_CBLOCK, AT_MAX_DIGITS = 17, SEQ_MAX_DIGITS = 16 };

struct leat_announcement_seal {
    bool has_key;
    unsigned char key[LEAT_ANNOUNCEMENT_KEY_LEN];
    SHA256_CTX inner; /* after the block of the key and RFC 2104's ipad... */
    SHA256_CTX outer; /* ...and opad */
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
        {'e', LEAT_ANNOUNCE_EVENT, true},    {'E', LEAT_ANNOUNCE_EVENT, false},
        {'r', LEAT_ANNOUNCE_REVOKE, true},   {'y', LEAT_ANNOUNCE_RESYNC, true},
        {'s', LEAT_ANNOUNCE_SIGNAL, true},   {'c', LEAT_ANNOUNCE_CONFLATING, true},
        {'h', LEAT_ANNOUNCE_HISTORY, false},
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

static bool is_signal(leat_announcement_kind kind)
{
    return kind == LEAT_ANNOUNCE_SIGNAL || kind == LEAT_ANNOUNCE_CONFLATING;
}

/* An entry of the log has a number; a signal has none; a change of history has no topic either. */
static bool is_consistent(const leat_announcement *a, bool has_data)
{
    bool stored = !is_signal(a->kind) && a->kind != LEAT_ANNOUNCE_HISTORY;
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
    if (a.kind == LEAT_ANNOUNCE_CONFLATING) {
        a.key = a.epoch;
        a.epoch.len = 0;
    }
    if (!is_consistent(&a, has_data))
        return LEAT_EBADMSG;
    if (!has_data)
        a.data = (leat_slice){NULL, 0};
    *out = a;
    return 0;
}

leat_announcement_seal *leat_announcement_seal_new(void)
{
    return leat_calloc(1, sizeof(leat_announcement_seal));
}

void leat_announcement_seal_free(leat_announcement_seal *s)
{
    if (s == NULL)
        return;
    OPENSSL_cleanse(s, sizeof(*s));
    free(s);
}

/* The state after one block: the key, filled up with zeros, each byte xor mask. */
static void begin_digest(SHA256_CTX *c, const unsigned char *key, unsigned char mask)
{
    unsigned char block[BLOCK_LEN];
    for (size_t i = 0; i < BLOCK_LEN; i++)
        block[i] = (i < LEAT_ANNOUNCEMENT_KEY_LEN ? key[i] : 0) ^ mask;
    SHA256_Init(c);
    SHA256_Update(c, block, sizeof(block));
    OPENSSL_cleanse(block, sizeof(block));
}

int leat_announcement_seal_key(leat_announcement_seal *s, leat_slice key)
{
    if (key.len != sizeof(s->key))
        return LEAT_EBADMSG;
    if (s->has_key && CRYPTO_memcmp(s->key, key.at, key.len) == 0)
        return 0;
    memcpy(s->key, key.at, key.len);
    begin_digest(&s->inner, s->key, 0x36);
    begin_digest(&s->outer, s->key, 0x5c);
    s->has_key = true;
    return 1;
}

/* Writes the sender and a newline to the end of text. Returns where they begin. By hand, because
 * printf would run more code than the rest of the check. */
static const char *write_sender(char *text, size_t size, int sender_pid)
{
    char *at = text + size;
    *--at = '\n';
    for (unsigned rest = (unsigned)sender_pid; at == text + size - 1 || rest > 0; rest /= 10)
        *--at = (char)('0' + rest % 10);
    return at;
}

/* HMAC-SHA256 of the sender and what follows the payload's MAC. */
static void digest_message(const leat_announcement_seal *s, leat_slice message, int sender_pid,
                           unsigned char *digest)
{
    char text[16];
    const char *sender = write_sender(text, sizeof(text), sender_pid);
    SHA256_CTX c = s->inner;
    SHA256_Update(&c, sender, (size_t)(text + sizeof(text) - sender));
    SHA256_Update(&c, message.at, message.len);
    SHA256_Final(digest, &c);
    c = s->outer;
    SHA256_Update(&c, digest, SHA256_DIGEST_LENGTH);
    SHA256_Final(digest, &c);
}

bool leat_announcement_is_sealed(const leat_announcement_seal *s, leat_slice payload,
                                 int sender_pid)
{
    static const char digits[] = "0123456789abcdef";
    size_t start = LEAT_ANNOUNCEMENT_MAC_LEN + 1;
    if (!s->has_key || payload.len < start)
        return false;
    unsigned char digest[SHA256_DIGEST_LENGTH];
    char mac[LEAT_ANNOUNCEMENT_MAC_LEN];
    digest_message(s, (leat_slice){payload.at + start, payload.len - start}, sender_pid, digest);
    for (size_t i = 0; i < sizeof(mac); i += 2) {
        mac[i] = digits[digest[i / 2] >> 4];
        mac[i + 1] = digits[digest[i / 2] & 15];
    }
    return CRYPTO_memcmp(mac, payload.at, sizeof(mac)) == 0;
}
