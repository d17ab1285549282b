/* account.c - an account has a bucket for each topic to which it has published lately. The one that
 * was used longest ago is forgotten once it is full again. There are at most MAX_TOPICS: a user who
 * publishes to more of them at once waits until one is full. */
#include "core/account.h"

#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/list.h"
#include "base/mem.h"

enum {
    MAX_TOPICS = 256,
    FORGET_AT_ONCE = 4, /* so that no call takes long */
};

typedef struct account_publishes {
    leat_map topics;  /* topic_bucket */
    leat_list by_age; /* the same, the one that was used longest ago first */
} account_publishes;

typedef struct topic_bucket {
    leat_map_entry entry;
    leat_list link;
    leat_bucket bucket;
    char name[];
} topic_bucket;

leat_account *leat_account_open(leat_map *all, leat_account_kind kind, leat_slice name)
{
    leat_account *a = leat_calloc(1, sizeof(*a) + 1 + name.len);
    a->name_[0] = (char)kind;
    memcpy(a->name_ + 1, name.at, name.len);
    leat_slice key = {a->name_, 1 + name.len};
    leat_map_entry *found = leat_map_get(all, key);
    if (found != NULL) {
        free(a);
        a = LEAT_CONTAINER_OF(found, leat_account, entry_);
    } else {
        a->all_ = all;
        leat_map_add(all, &a->entry_, key);
    }
    a->refs_++;
    return a;
}

static void forget(account_publishes *p, topic_bucket *t)
{
    leat_map_remove(&p->topics, &t->entry);
    leat_list_unlink(&t->link);
    free(t);
}

static topic_bucket *oldest(const account_publishes *p)
{
    return leat_list_empty(&p->by_age) ? NULL
                                       : LEAT_CONTAINER_OF(p->by_age.next, topic_bucket, link);
}

static void free_publishes(account_publishes *p)
{
    if (p == NULL)
        return;
    for (topic_bucket *t; (t = oldest(p)) != NULL;)
        forget(p, t);
    leat_map_close(&p->topics);
    free(p);
}

void leat_account_close(leat_account *a)
{
    if (a == NULL || --a->refs_ > 0)
        return;
    leat_map_remove(a->all_, &a->entry_);
    free_publishes(a->by_topic_);
    free(a);
}

static account_publishes *publishes_of(leat_account *a)
{
    if (a->by_topic_ != NULL)
        return a->by_topic_;
    account_publishes *p = leat_calloc(1, sizeof(*p));
    leat_map_init(&p->topics);
    leat_list_init(&p->by_age);
    a->by_topic_ = p;
    return p;
}

static void forget_full(account_publishes *p, uint64_t now_ms)
{
    topic_bucket *t = oldest(p);
    for (int i = 0; i < FORGET_AT_ONCE && t != NULL; i++, t = oldest(p)) {
        if (!leat_bucket_is_full(&t->bucket, now_ms))
            return;
        forget(p, t);
    }
}

static topic_bucket *add(account_publishes *p, leat_slice topic)
{
    topic_bucket *t = leat_calloc(1, sizeof(*t) + topic.len);
    memcpy(t->name, topic.at, topic.len);
    leat_map_add(&p->topics, &t->entry, (leat_slice){t->name, topic.len});
    leat_list_init(&t->link);
    return t;
}

uint64_t leat_account_publish(leat_account *a, leat_slice topic, const leat_rate *rate,
                              uint64_t now_ms)
{
    account_publishes *p = publishes_of(a);
    forget_full(p, now_ms);
    leat_map_entry *e = leat_map_get(&p->topics, topic);
    if (e == NULL && p->topics.count >= MAX_TOPICS) {
        uint64_t ms = leat_bucket_wait_ms(&oldest(p)->bucket, rate, now_ms);
        return ms > 0 ? ms : 1;
    }
    topic_bucket *t = e == NULL ? add(p, topic) : LEAT_CONTAINER_OF(e, topic_bucket, entry);
    leat_list_unlink(&t->link);
    leat_list_push(&p->by_age, &t->link);
    bool taken = leat_bucket_take(&t->bucket, rate, 1, now_ms);
    return taken ? 0 : leat_bucket_wait_ms(&t->bucket, rate, now_ms);
}
