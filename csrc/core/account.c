/* account.c - an account has a bucket for each topic to which it has published lately. The one that
 * was used longest ago is forgotten once it is full again, and all that are full if there is no
 * room for another one. There are at most MAX_TOPICS: a user who publishes to more of them at once
 * waits until one is full.
 *
 * With its last holder an account goes on the list of those that are left, if it has a bucket that
 * is not full. It leaves the list when somebody opens it, when its buckets are full (forget_left),
 * or when the list has become too long. */
#include "core/account.h"

#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/list.h"
#include "base/mem.h"

enum {
    MAX_TOPICS = 256,
    MAX_LEFT = 8192,    /* accounts that nobody holds, and their topics */
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

/* --- what an account has published --- */

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

/* Forgets all that are full. Returns 0 if there is room then, or in how many milliseconds the first
 * one is full. */
static uint64_t make_room(account_publishes *p, const leat_rate *rate, uint64_t now_ms)
{
    uint64_t soonest_ms = UINT64_MAX;
    for (leat_list *l = p->by_age.next, *next = l->next; l != &p->by_age;
         l = next, next = l->next) {
        topic_bucket *t = LEAT_CONTAINER_OF(l, topic_bucket, link);
        uint64_t ms = leat_bucket_missing_ms(&t->bucket, rate, now_ms);
        if (ms == 0)
            forget(p, t);
        else if (ms + 1 < soonest_ms)
            soonest_ms = ms + 1; /* what is missing of a millisecond is not told */
    }
    return p->topics.count < MAX_TOPICS ? 0 : soonest_ms;
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
        uint64_t ms = make_room(p, rate, now_ms);
        if (ms > 0)
            return ms;
    }
    topic_bucket *t = e == NULL ? add(p, topic) : LEAT_CONTAINER_OF(e, topic_bucket, entry);
    leat_list_unlink(&t->link);
    leat_list_push(&p->by_age, &t->link);
    bool taken = leat_bucket_take(&t->bucket, rate, 1, now_ms);
    return taken ? 0 : leat_bucket_wait_ms(&t->bucket, rate, now_ms);
}

/* --- the set --- */

void leat_account_set_init(leat_account_set *set)
{
    leat_map_init(&set->all_);
    leat_list_init(&set->left_);
    set->n_held_ = set->n_left_ = 0;
}

static size_t size_of(const leat_account *a)
{
    return 1 + (a->by_topic_ == NULL ? 0 : a->by_topic_->topics.count);
}

static leat_account *first_left(const leat_account_set *set)
{
    return leat_list_empty(&set->left_) ? NULL
                                        : LEAT_CONTAINER_OF(set->left_.next, leat_account, link_);
}

static void take_off_left(leat_account *a)
{
    leat_list_unlink(&a->link_);
    a->set_->n_left_ -= size_of(a);
}

/* Takes the first one off the list, which is not empty. */
static leat_account *take_first_left(leat_account_set *set)
{
    leat_account *a = LEAT_CONTAINER_OF(leat_list_take(&set->left_), leat_account, link_);
    set->n_left_ -= size_of(a);
    return a;
}

static void free_account(leat_account *a)
{
    leat_map_remove(&a->set_->all_, &a->entry_);
    free_publishes(a->by_topic_);
    free(a);
}

void leat_account_set_close(leat_account_set *set)
{
    LEAT_ASSERT(set->n_held_ == 0);
    while (!leat_list_empty(&set->left_))
        free_account(take_first_left(set));
    LEAT_ASSERT(set->all_.count == 0 && set->n_left_ == 0);
    leat_map_close(&set->all_);
}

/* True if all that it may do, it may do as if it were new. */
static bool is_as_new(const leat_account *a, uint64_t now_ms)
{
    if (!leat_bucket_is_full(&a->publishes, now_ms))
        return false;
    const leat_map *topics = a->by_topic_ == NULL ? NULL : &a->by_topic_->topics;
    for (leat_map_entry *e = topics == NULL ? NULL : leat_map_next(topics, NULL); e != NULL;
         e = leat_map_next(topics, e))
        if (!leat_bucket_is_full(&LEAT_CONTAINER_OF(e, topic_bucket, entry)->bucket, now_ms))
            return false;
    return true;
}

static void forget_left(leat_account_set *set, uint64_t now_ms)
{
    for (int i = 0; i < FORGET_AT_ONCE || set->n_left_ > MAX_LEFT; i++) {
        const leat_account *first = first_left(set);
        if (first == NULL || (set->n_left_ <= MAX_LEFT && !is_as_new(first, now_ms)))
            return;
        free_account(take_first_left(set));
    }
}

leat_account *leat_account_open(leat_account_set *set, leat_account_kind kind, leat_slice name)
{
    leat_account *a = leat_calloc(1, sizeof(*a) + 1 + name.len);
    a->name_[0] = (char)kind;
    memcpy(a->name_ + 1, name.at, name.len);
    leat_slice key = {a->name_, 1 + name.len};
    leat_map_entry *found = leat_map_get(&set->all_, key);
    if (found != NULL) {
        free(a);
        a = LEAT_CONTAINER_OF(found, leat_account, entry_);
    } else {
        a->set_ = set;
        leat_list_init(&a->link_);
        leat_map_add(&set->all_, &a->entry_, key);
    }
    if (a->refs_++ == 0) {
        set->n_held_++;
        if (found != NULL)
            take_off_left(a);
    }
    return a;
}

/* The name of a guest is a client's, and never comes again. */
void leat_account_close(leat_account *a, uint64_t now_ms)
{
    if (a == NULL || --a->refs_ > 0)
        return;
    leat_account_set *set = a->set_;
    set->n_held_--;
    if (a->name_[0] == LEAT_ACCOUNT_GUEST || is_as_new(a, now_ms)) {
        free_account(a);
    } else {
        leat_list_push(&set->left_, &a->link_);
        set->n_left_ += size_of(a);
    }
    forget_left(set, now_ms);
}
