/* map.c - a chained hash map. Keys are hashed by SipHash-1-3 with a random key, because peers
 * choose topic names: with a hash that they know they could fill one bucket.
 *
 * The top bits of the hash choose the bucket. So a walk meets the entries in the order of these
 * bits, however many buckets there are. If the map shrinks during a walk that removes entries, no
 * entry is missed or met twice.
 */
#include "base/map.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/random.h"

enum {
    MIN_BUCKETS = 2,
};

#define ROTL(x, n) (((x) << (n)) | ((x) >> (64 - (n))))

typedef struct sip {
    uint64_t v0, v1, v2, v3;
} sip;

static inline void sip_round(sip *s)
{
    s->v0 += s->v1;
    s->v1 = ROTL(s->v1, 13) ^ s->v0;
    s->v0 = ROTL(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = ROTL(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = ROTL(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = ROTL(s->v1, 17) ^ s->v2;
    s->v2 = ROTL(s->v2, 32);
}

static inline void sip_word(sip *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    s->v0 ^= word;
}

/* Byte order does not matter: a hash never leaves the process. */
static uint64_t hash_bytes(const uint64_t key[2], leat_slice bytes)
{
    sip s = {key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du,
             key[0] ^ 0x6c7967656e657261u, key[1] ^ 0x7465646279746573u};
    const char *at = bytes.at;
    size_t left = bytes.len;
    for (; left >= 8; left -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        sip_word(&s, word);
    }
    uint64_t last = 0;
    if (left > 0)
        memcpy(&last, at, left);
    sip_word(&s, last ^ ((uint64_t)bytes.len << 56));
    s.v2 ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

static size_t bucket_of(uint64_t hash, size_t n_buckets)
{
    return (size_t)(hash >> (64 - __builtin_ctzll(n_buckets)));
}

/* Moves all entries to n_buckets buckets. Appending keeps the order of a walk (see above). */
static void resize(leat_map *m, size_t n_buckets)
{
    leat_map_entry **buckets = leat_calloc(n_buckets, sizeof(leat_map_entry *));
    for (size_t i = 0; i < m->n_buckets_; i++) {
        leat_map_entry *e = m->buckets_[i];
        while (e != NULL) {
            leat_map_entry *next = e->next_;
            leat_map_entry **tail = &buckets[bucket_of(e->hash_, n_buckets)];
            while (*tail != NULL)
                tail = &(*tail)->next_;
            e->next_ = NULL;
            *tail = e;
            e = next;
        }
    }
    free(m->buckets_);
    m->buckets_ = buckets;
    m->n_buckets_ = n_buckets;
}

void leat_map_init(leat_map *m)
{
    *m = (leat_map){0};
}

void leat_map_close(leat_map *m)
{
    free(m->buckets_);
    *m = (leat_map){0};
}

leat_map_entry *leat_map_get(const leat_map *m, leat_slice key)
{
    if (m->count == 0)
        return NULL;
    uint64_t hash = hash_bytes(m->seed_, key);
    leat_map_entry *e = m->buckets_[bucket_of(hash, m->n_buckets_)];
    while (e != NULL && (e->hash_ != hash || !leat_slice_equal(e->key, key)))
        e = e->next_;
    return e;
}

/* Buckets and seed are made for the first entry, because many maps stay empty. */
static void begin(leat_map *m)
{
    leat_random_bytes(m->seed_, sizeof(m->seed_));
    resize(m, MIN_BUCKETS);
}

void leat_map_add(leat_map *m, leat_map_entry *e, leat_slice key)
{
    if (m->n_buckets_ == 0)
        begin(m);
    else if (m->count >= m->n_buckets_)
        resize(m, m->n_buckets_ * 2);
    e->key = key;
    e->hash_ = hash_bytes(m->seed_, key);
    leat_map_entry **head = &m->buckets_[bucket_of(e->hash_, m->n_buckets_)];
    e->next_ = *head;
    *head = e;
    m->count++;
}

void leat_map_remove(leat_map *m, leat_map_entry *e)
{
    LEAT_ASSERT(m->count > 0);
    leat_map_entry **at = &m->buckets_[bucket_of(e->hash_, m->n_buckets_)];
    while (*at != e) {
        LEAT_ASSERT(*at != NULL);
        at = &(*at)->next_;
    }
    *at = e->next_;
    e->next_ = NULL;
    m->count--;
    if (m->n_buckets_ > MIN_BUCKETS && m->count < m->n_buckets_ / 8)
        resize(m, m->n_buckets_ / 2);
}

leat_map_entry *leat_map_next(const leat_map *m, const leat_map_entry *prev)
{
    if (prev != NULL && prev->next_ != NULL)
        return prev->next_;
    size_t i = prev == NULL ? 0 : bucket_of(prev->hash_, m->n_buckets_) + 1;
    while (i < m->n_buckets_ && m->buckets_[i] == NULL)
        i++;
    return i < m->n_buckets_ ? m->buckets_[i] : NULL;
}

/* The place is the first hash that was not met yet. A part ends with a bucket, and a bucket is a
 * range of hashes; if there are fewer buckets since, one may hold hashes that were met. */
bool leat_map_walk(const leat_map *m, uint64_t *place, size_t part,
                   void (*each)(void *arg, leat_map_entry *e), void *arg)
{
    size_t n = 0;
    if (m->n_buckets_ == 0)
        return false;
    unsigned shift = 64 - (unsigned)__builtin_ctzll(m->n_buckets_);
    for (size_t i = bucket_of(*place, m->n_buckets_); i < m->n_buckets_; i++) {
        for (leat_map_entry *e = m->buckets_[i]; e != NULL; e = e->next_, n++)
            if (e->hash_ >= *place)
                each(arg, e);
        if (++n >= part && i + 1 < m->n_buckets_) {
            *place = (uint64_t)(i + 1) << shift;
            return true;
        }
    }
    return false;
}
