/* address_limit.c - the table is cut into shards by a hash of the address, each with a lock of its
 * own. A shard maps addresses to slots. A slot without connections stands on the shard's list
 * `idle`, the one that was used longest ago first, and is freed from there once its buckets are
 * full (forget), or when too many are there. */
#include "net/address_limit.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"

enum {
    SHARDS = 16,
    MAX_IDLE = 2048,    /* of a shard */
    FORGET_AT_ONCE = 4, /* so that no call takes long */
    V6_KEY = 8,         /* a /64 */
    FLOOD_OPENINGS = 100,
};

struct shard {
    pthread_mutex_t lock;
    leat_map slots;
    leat_list idle;
    size_t n_idle;
    const leat_address_limits *limits;
};

struct leat_address_slot {
    leat_map_entry entry;
    leat_list link; /* on idle, while there are no connections */
    struct shard *shard;
    leat_ip key;
    size_t connections;
    leat_bucket opening; /* of new connections. The workers' clocks may be a turn apart */
    leat_bucket failing;
    leat_bucket uses[LEAT_ADDRESS_USES];
};

struct leat_address_limit {
    leat_address_limits limits;
    struct shard shards[SHARDS];
};

leat_address_limit *leat_address_limit_new(const leat_address_limits *limits)
{
    leat_address_limit *l = leat_calloc(1, sizeof(*l));
    l->limits = *limits;
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *s = &l->shards[i];
        int failed = pthread_mutex_init(&s->lock, NULL);
        LEAT_ASSERT(failed == 0);
        leat_map_init(&s->slots);
        leat_list_init(&s->idle);
        s->limits = &l->limits;
    }
    return l;
}

static void remove_idle(struct shard *s, leat_address_slot *slot)
{
    leat_list_unlink(&slot->link);
    s->n_idle--;
    leat_map_remove(&s->slots, &slot->entry);
    free(slot);
}

void leat_address_limit_free(leat_address_limit *l)
{
    if (l == NULL)
        return;
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *s = &l->shards[i];
        while (!leat_list_empty(&s->idle))
            remove_idle(s, LEAT_CONTAINER_OF(s->idle.next, leat_address_slot, link));
        LEAT_ASSERT(s->slots.count == 0);
        leat_map_close(&s->slots);
        pthread_mutex_destroy(&s->lock);
    }
    free(l);
}

/* What is one address by itself lies in a /64 with others that are not its own: ::1 in ::/64, and
 * all of IPv4 in the /64 of a translator. */
static bool is_single(const leat_ip *ip)
{
    return leat_ip_is_v4(ip) || leat_ip_is_translated_v4(ip) || leat_ip_is_loopback(ip);
}

static leat_ip key_of(const leat_ip *ip)
{
    leat_ip key = *ip;
    if (!is_single(ip))
        memset(key.bytes + V6_KEY, 0, sizeof(key.bytes) - V6_KEY);
    return key;
}

/* This hash only spreads the addresses over the locks. The map of a shard has a hash with a secret,
 * against addresses that are chosen to collide. */
static struct shard *shard_of(leat_address_limit *l, const leat_ip *key)
{
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof(key->bytes); i++)
        sum = sum * 31 + key->bytes[i];
    return &l->shards[sum % SHARDS];
}

static bool is_unknown(const leat_address_slot *slot, uint64_t now_ms)
{
    bool unused = true;
    for (int i = 0; i < LEAT_ADDRESS_USES; i++)
        unused = unused && leat_bucket_is_full(&slot->uses[i], now_ms);
    return unused && leat_bucket_is_full(&slot->opening, now_ms) &&
           leat_bucket_is_full(&slot->failing, now_ms);
}

/* Drops addresses whose buckets are full again: they are as good as unknown. */
static void forget(struct shard *s, uint64_t now_ms)
{
    for (int i = 0; i < FORGET_AT_ONCE && !leat_list_empty(&s->idle); i++) {
        leat_address_slot *oldest = LEAT_CONTAINER_OF(s->idle.next, leat_address_slot, link);
        if (!is_unknown(oldest, now_ms) && s->n_idle <= MAX_IDLE)
            return;
        remove_idle(s, oldest);
    }
}

static leat_address_slot *find(struct shard *s, const leat_ip *key)
{
    leat_slice bytes = {(const char *)key->bytes, sizeof(key->bytes)};
    leat_map_entry *e = leat_map_get(&s->slots, bytes);
    return e == NULL ? NULL : LEAT_CONTAINER_OF(e, leat_address_slot, entry);
}

static void put_idle(struct shard *s, leat_address_slot *slot)
{
    leat_list_push(&s->idle, &slot->link);
    s->n_idle++;
}

static leat_address_slot *add(struct shard *s, const leat_ip *key)
{
    leat_address_slot *slot = leat_calloc(1, sizeof(*slot));
    slot->shard = s;
    slot->key = *key;
    leat_map_add(&s->slots, &slot->entry,
                 (leat_slice){(const char *)slot->key.bytes, sizeof(slot->key.bytes)});
    put_idle(s, slot);
    return slot;
}

static size_t most_of(const leat_address_limits *limits, const leat_ip *ip)
{
    return leat_ip_is_loopback(ip) ? limits->local_connections : limits->connections;
}

static leat_address_verdict take(struct shard *s, leat_address_slot *slot, uint64_t now_ms)
{
    if (slot->connections >= most_of(s->limits, &slot->key))
        return LEAT_ADDRESS_TOO_MANY;
    if (!leat_bucket_take(&slot->opening, &s->limits->opening, 1, now_ms))
        return LEAT_ADDRESS_TOO_FAST;
    if (slot->connections++ == 0) {
        leat_list_unlink(&slot->link);
        s->n_idle--;
    }
    return LEAT_ADDRESS_OK;
}

leat_address_verdict leat_address_limit_enter(leat_address_limit *l, const leat_ip *ip,
                                              uint64_t now_ms, leat_address_slot **slot)
{
    leat_ip key = key_of(ip);
    struct shard *s = shard_of(l, &key);
    pthread_mutex_lock(&s->lock);
    leat_address_slot *found = find(s, &key);
    if (found == NULL)
        found = add(s, &key);
    leat_address_verdict verdict = take(s, found, now_ms);
    if (verdict == LEAT_ADDRESS_OK)
        *slot = found;
    forget(s, now_ms);
    pthread_mutex_unlock(&s->lock);
    return verdict;
}

bool leat_address_limit_holds(const leat_address_slot *slot, const leat_ip *ip)
{
    leat_ip key = key_of(ip);
    return leat_ip_equal(&slot->key, &key);
}

/* An address of this machine that may have more connections than others. */
static bool stands_for_many(const leat_address_slot *slot)
{
    const leat_address_limits *limits = slot->shard->limits;
    return most_of(limits, &slot->key) > limits->connections;
}

uint64_t leat_address_limit_use(leat_address_slot *slot, leat_address_use use, uint64_t now_ms)
{
    struct shard *s = slot->shard;
    const leat_rate *rate = &s->limits->uses[use];
    if (rate->per_s == 0 || stands_for_many(slot))
        return 0;
    pthread_mutex_lock(&s->lock);
    bool taken = leat_bucket_take(&slot->uses[use], rate, 1, now_ms);
    uint64_t wait_ms = taken ? 0 : leat_bucket_wait_ms(&slot->uses[use], rate, now_ms);
    pthread_mutex_unlock(&s->lock);
    return taken || wait_ms > 0 ? wait_ms : 1;
}

bool leat_address_limit_is_crowd(leat_address_slot *slot, leat_address_use use, uint64_t now_ms)
{
    struct shard *s = slot->shard;
    if (stands_for_many(slot))
        return false;
    pthread_mutex_lock(&s->lock);
    uint64_t ahead_ms = leat_bucket_missing_ms(&slot->uses[use], &s->limits->uses[use], now_ms);
    pthread_mutex_unlock(&s->lock);
    return ahead_ms >= LEAT_ADDRESS_CROWD_MS;
}

void leat_address_limit_charge_flood(leat_address_slot *slot, uint64_t now_ms)
{
    struct shard *s = slot->shard;
    if (stands_for_many(slot))
        return;
    pthread_mutex_lock(&s->lock);
    leat_bucket_charge(&slot->opening, &s->limits->opening, FLOOD_OPENINGS, now_ms);
    pthread_mutex_unlock(&s->lock);
}

void leat_address_limit_charge_failure(leat_address_slot *slot, uint64_t now_ms)
{
    struct shard *s = slot->shard;
    pthread_mutex_lock(&s->lock);
    leat_bucket_charge(&slot->failing, &s->limits->failing, 1, now_ms);
    pthread_mutex_unlock(&s->lock);
}

uint64_t leat_address_limit_wait_ms(leat_address_slot *slot, uint64_t now_ms)
{
    struct shard *s = slot->shard;
    pthread_mutex_lock(&s->lock);
    uint64_t wait_ms = leat_bucket_wait_ms(&slot->failing, &s->limits->failing, now_ms);
    pthread_mutex_unlock(&s->lock);
    return wait_ms;
}

void leat_address_limit_leave(leat_address_slot *slot)
{
    struct shard *s = slot->shard;
    pthread_mutex_lock(&s->lock);
    LEAT_ASSERT(slot->connections > 0);
    if (--slot->connections == 0)
        put_idle(s, slot);
    pthread_mutex_unlock(&s->lock);
}

size_t leat_address_limit_count(leat_address_limit *l)
{
    size_t count = 0;
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_lock(&l->shards[i].lock);
        count += l->shards[i].slots.count;
        pthread_mutex_unlock(&l->shards[i].lock);
    }
    return count;
}
