/* map.c - a chained hash map, or a mere list while it has few entries. Keys are hashed by
 * SipHash-1-3 with a random key, because peers choose topic names: with a hash that they know they
 * could fill one bucket.
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
    FEW = 4, /* so many keys are compared faster than one is hashed */
    MIN_BUCKETS = 8,
    FULL = 2, /* entries for each bucket, at which there are twice as many buckets */
    HASH_BITS = 32,
};

typedef struct leat_map_table {
    uint64_t seed[2];
    leat_map_entry *buckets[];
} leat_map_table;

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
static uint32_t hash_bytes(const uint64_t key[2], leat_slice bytes)
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
    return (uint32_t)(s.v0 ^ s.v1 ^ s.v2 ^ s.v3);
}

static size_t bucket_of(uint32_t hash, uint32_t n_buckets)
{
    return hash >> (HASH_BITS - __builtin_ctz(n_buckets));
}

static leat_map_entry **bucket_for(const leat_map *m, uint32_t hash)
{
    return &m->table_->buckets[bucket_of(hash, m->n_buckets_)];
}

static leat_map_table *make_table(uint32_t n_buckets)
{
    return leat_calloc(1, sizeof(leat_map_table) + (size_t)n_buckets * sizeof(leat_map_entry *));
}

/* Moves all entries to n_buckets buckets. Appending keeps the order of a walk (see above). */
static void resize(leat_map *m, uint32_t n_buckets)
{
    leat_map_table *table = make_table(n_buckets);
    memcpy(table->seed, m->table_->seed, sizeof(table->seed));
    for (size_t i = 0; i < m->n_buckets_; i++) {
        leat_map_entry *e = m->table_->buckets[i];
        while (e != NULL) {
            leat_map_entry *next = e->next_;
            leat_map_entry **tail = &table->buckets[bucket_of(e->hash_, n_buckets)];
            while (*tail != NULL)
                tail = &(*tail)->next_;
            e->next_ = NULL;
            *tail = e;
            e = next;
        }
    }
    free(m->table_);
    m->table_ = table;
    m->n_buckets_ = n_buckets;
}

void leat_map_init(leat_map *m)
{
    *m = (leat_map){0};
}

void leat_map_close(leat_map *m)
{
    if (m->n_buckets_ > 0)
        free(m->table_);
    *m = (leat_map){0};
}

static leat_map_entry *find(leat_map_entry *e, leat_slice key)
{
    while (e != NULL && !leat_slice_equal(leat_map_key(e), key))
        e = e->next_;
    return e;
}

leat_map_entry *leat_map_get(const leat_map *m, leat_slice key)
{
    if (m->n_buckets_ == 0)
        return find(m->few_, key);
    uint32_t hash = hash_bytes(m->table_->seed, key);
    leat_map_entry *e = *bucket_for(m, hash);
    while (e != NULL && (e->hash_ != hash || !leat_slice_equal(leat_map_key(e), key)))
        e = e->next_;
    return e;
}

static void put(leat_map_entry **head, leat_map_entry *e)
{
    e->next_ = *head;
    *head = e;
}

static void put_hashed(leat_map *m, leat_map_entry *e)
{
    e->hash_ = hash_bytes(m->table_->seed, leat_map_key(e));
    put(bucket_for(m, e->hash_), e);
}

/* The entries are no longer few. A map that once had many keeps a table until it is closed. */
static void begin_table(leat_map *m)
{
    leat_map_entry *few = m->few_;
    m->table_ = make_table(MIN_BUCKETS);
    m->n_buckets_ = MIN_BUCKETS;
    leat_random_bytes(m->table_->seed, sizeof(m->table_->seed));
    while (few != NULL) {
        leat_map_entry *next = few->next_;
        put_hashed(m, few);
        few = next;
    }
}

void leat_map_add(leat_map *m, leat_map_entry *e, leat_slice key)
{
    LEAT_ASSERT(m->count < UINT32_MAX / 2);
    if (m->n_buckets_ == 0 && m->count >= FEW)
        begin_table(m);
    else if (m->n_buckets_ > 0 && m->count >= (size_t)m->n_buckets_ * FULL)
        resize(m, m->n_buckets_ * 2);
    e->key_ = key.at;
    e->key_len_ = (uint32_t)key.len;
    if (m->n_buckets_ == 0)
        put(&m->few_, e);
    else
        put_hashed(m, e);
    m->count++;
}

void leat_map_move_key(leat_map_entry *e, leat_slice key)
{
    LEAT_ASSERT(leat_slice_equal(leat_map_key(e), key));
    e->key_ = key.at;
}

void leat_map_remove(leat_map *m, leat_map_entry *e)
{
    LEAT_ASSERT(m->count > 0);
    leat_map_entry **at = m->n_buckets_ == 0 ? &m->few_ : bucket_for(m, e->hash_);
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
    if (m->n_buckets_ == 0)
        return prev == NULL ? m->few_ : NULL;
    size_t i = prev == NULL ? 0 : bucket_of(prev->hash_, m->n_buckets_) + 1;
    while (i < m->n_buckets_ && m->table_->buckets[i] == NULL)
        i++;
    return i < m->n_buckets_ ? m->table_->buckets[i] : NULL;
}

static void each_of_few(const leat_map *m, void (*each)(void *arg, leat_map_entry *e), void *arg)
{
    for (leat_map_entry *e = m->few_; e != NULL; e = e->next_)
        each(arg, e);
}

/* The place is the first hash that was not met yet. A part ends with a bucket, and a bucket is a
 * range of hashes; if there are fewer buckets since, one may hold hashes that were met. */
bool leat_map_walk(const leat_map *m, uint64_t *place, size_t part,
                   void (*each)(void *arg, leat_map_entry *e), void *arg)
{
    size_t n = 0;
    if (m->n_buckets_ == 0) {
        each_of_few(m, each, arg);
        return false;
    }
    unsigned shift = HASH_BITS - (unsigned)__builtin_ctz(m->n_buckets_);
    for (size_t i = bucket_of((uint32_t)*place, m->n_buckets_); i < m->n_buckets_; i++) {
        for (leat_map_entry *e = m->table_->buckets[i]; e != NULL; e = e->next_, n++)
            if (e->hash_ >= *place)
                each(arg, e);
        if (++n >= part && i + 1 < m->n_buckets_) {
            *place = (uint64_t)(i + 1) << shift;
            return true;
        }
    }
    return false;
}
