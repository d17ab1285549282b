/* deadline.c - a hierarchical timing wheel. Level n has 64 buckets of 64^n ms each.
 *
 * The wheel has processed all times up to `elapsed_ms`. The level of an entry is the position of
 * the highest base-64 digit in which its time differs from elapsed_ms. So in each level all buckets
 * in use lie ahead of elapsed_ms's own digit, and the lowest level in use has the next bucket.
 *
 * leat_deadline_arm puts an entry into its bucket. If that bucket is the next one, it sets the
 * timer to the bucket's start. on_timer processes the buckets up to now: entries of a higher level
 * move down, and those whose millisecond has come are collected. Then they are called one at a
 * time, so that each callback may cancel or arm any other entry.
 *
 * An entry does not know its queue: cancelling only unlinks it. If its bucket is empty then, the
 * bucket's bit stays set until the wheel reaches it; that costs one wake-up.
 */
#include "loop/deadline.h"

#include <stdlib.h>

#include "base/mem.h"

enum {
    DIGIT_BITS = 6,
    BUCKETS = 1 << DIGIT_BITS,
    LEVELS = 11, /* 11 digits hold any 64-bit time */
};

struct level {
    uint64_t in_use; /* one bit for each bucket; may be set for an empty one */
    leat_list buckets[BUCKETS];
};

struct leat_deadline_queue {
    uv_timer_t timer;
    uv_loop_t *uv; /* NULL: only leat_deadline_queue_advance moves the time */
    uint64_t elapsed_ms;
    uint64_t next_ms; /* no bucket in use starts before this time */
    leat_list due;    /* entries whose time has come */
    bool advancing;
    bool closing;
    void (*done)(void *arg);
    void *done_arg;
    struct level levels[LEVELS];
};

static uint64_t bucket_start(const leat_deadline_queue *q, int level, unsigned bucket)
{
    int shift = level * DIGIT_BITS;
    uint64_t above = level + 1 < LEVELS ? ~UINT64_C(0) << (shift + DIGIT_BITS) : 0;
    return (q->elapsed_ms & above) | (uint64_t)bucket << shift;
}

/* Puts d into its bucket, and returns the start of that bucket. */
static uint64_t place(leat_deadline_queue *q, leat_deadline *d)
{
    if (d->at_ms_ <= q->elapsed_ms) {
        leat_list_push(&q->due, &d->link_);
        return q->elapsed_ms;
    }
    int level = (63 - __builtin_clzll(d->at_ms_ ^ q->elapsed_ms)) / DIGIT_BITS;
    unsigned bucket = (unsigned)(d->at_ms_ >> (level * DIGIT_BITS)) & (BUCKETS - 1);
    leat_list_push(&q->levels[level].buckets[bucket], &d->link_);
    q->levels[level].in_use |= UINT64_C(1) << bucket;
    return bucket_start(q, level, bucket);
}

/* Finds the next bucket that has an entry, and clears the bits of empty ones before it. */
static struct level *find_next(leat_deadline_queue *q, unsigned *bucket, uint64_t *start_ms)
{
    for (int i = 0; i < LEVELS; i++) {
        struct level *level = &q->levels[i];
        while (level->in_use != 0) {
            *bucket = (unsigned)__builtin_ctzll(level->in_use);
            if (!leat_list_empty(&level->buckets[*bucket])) {
                *start_ms = bucket_start(q, i, *bucket);
                return level;
            }
            level->in_use &= level->in_use - 1;
        }
    }
    *start_ms = LEAT_DEADLINE_NEVER;
    return NULL;
}

/* Moves all entries whose time has come to q->due, in the order of their times. */
static void collect(leat_deadline_queue *q, uint64_t now_ms)
{
    for (;;) {
        unsigned bucket;
        uint64_t start_ms;
        struct level *level = find_next(q, &bucket, &start_ms);
        q->next_ms = start_ms;
        if (level == NULL || start_ms > now_ms)
            break;

        leat_list entries;
        leat_list_move(&entries, &level->buckets[bucket]);
        level->in_use &= ~(UINT64_C(1) << bucket);
        q->elapsed_ms = start_ms;
        for (leat_list *link; (link = leat_list_shift(&entries)) != NULL;)
            place(q, LEAT_CONTAINER_OF(link, leat_deadline, link_));
    }
    if (now_ms > q->elapsed_ms)
        q->elapsed_ms = now_ms;
}

static void on_timer(uv_timer_t *timer);

/* least_ms is 1 inside the timer's callback: with 0, the timer would run again in this turn, and a
 * deadline that always arms itself for now would stop the loop. */
static void set_timer(leat_deadline_queue *q, uint64_t least_ms)
{
    if (q->uv == NULL || q->closing)
        return;
    uint64_t at_ms = leat_list_empty(&q->due) ? q->next_ms : q->elapsed_ms;
    if (at_ms == LEAT_DEADLINE_NEVER) {
        uv_timer_stop(&q->timer);
        return;
    }
    uint64_t now_ms = uv_now(q->uv);
    uint64_t in_ms = at_ms > now_ms ? at_ms - now_ms : 0;
    uv_timer_start(&q->timer, on_timer, in_ms > least_ms ? in_ms : least_ms, 0);
}

void leat_deadline_queue_advance(leat_deadline_queue *q, uint64_t now_ms)
{
    LEAT_ASSERT(!q->advancing);
    q->advancing = true;
    collect(q, now_ms);
    leat_list batch;
    leat_list_move(&batch, &q->due);
    for (leat_list *link; (link = leat_list_shift(&batch)) != NULL;) {
        leat_deadline *d = LEAT_CONTAINER_OF(link, leat_deadline, link_);
        d->cb_(d);
    }
    q->advancing = false;
    set_timer(q, 1);
}

static void on_timer(uv_timer_t *timer)
{
    leat_deadline_queue *q = timer->data;
    leat_deadline_queue_advance(q, uv_now(q->uv));
}

int leat_deadline_queue_new(leat_deadline_queue **out, uv_loop_t *uv)
{
    leat_deadline_queue *q = leat_calloc(1, sizeof(*q));
    if (uv != NULL) {
        int err = uv_timer_init(uv, &q->timer);
        if (err < 0) {
            free(q);
            return err;
        }
        uv_unref((uv_handle_t *)&q->timer);
        q->timer.data = q;
        q->elapsed_ms = uv_now(uv);
    }
    q->uv = uv;
    q->next_ms = LEAT_DEADLINE_NEVER;
    leat_list_init(&q->due);
    for (int i = 0; i < LEVELS; i++)
        for (int bucket = 0; bucket < BUCKETS; bucket++)
            leat_list_init(&q->levels[i].buckets[bucket]);
    *out = q;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    leat_deadline_queue *q = handle->data;
    void (*done)(void *) = q->done;
    void *arg = q->done_arg;
    free(q);
    if (done != NULL)
        done(arg);
}

void leat_deadline_queue_close(leat_deadline_queue *q, void (*done)(void *arg), void *arg)
{
    LEAT_ASSERT(!q->closing);
    q->closing = true;
    q->done = done;
    q->done_arg = arg;
    q->timer.data = q;
    if (q->uv != NULL) {
        uv_close((uv_handle_t *)&q->timer, on_closed);
        return;
    }
    LEAT_ASSERT(!q->advancing);
    on_closed((uv_handle_t *)&q->timer);
}

void leat_deadline_init(leat_deadline *d)
{
    leat_list_init(&d->link_);
    d->at_ms_ = LEAT_DEADLINE_NEVER;
    d->cb_ = NULL;
}

void leat_deadline_arm(leat_deadline_queue *q, leat_deadline *d, uint64_t at_ms,
                       leat_deadline_cb cb)
{
    leat_deadline_cancel(d);
    if (at_ms == LEAT_DEADLINE_NEVER)
        return;
    d->at_ms_ = at_ms;
    d->cb_ = cb;

    /* If no bucket lies between elapsed_ms and now, the wheel jumps to now. This keeps the entry's
     * level low after an idle time. */
    if (q->uv != NULL && !q->advancing && uv_now(q->uv) < q->next_ms &&
        uv_now(q->uv) > q->elapsed_ms)
        q->elapsed_ms = uv_now(q->uv);

    uint64_t start_ms = place(q, d);
    bool first = start_ms < q->next_ms;
    if (start_ms > q->elapsed_ms && first)
        q->next_ms = start_ms;
    if (first && !q->advancing)
        set_timer(q, 0);
}

void leat_deadline_cancel(leat_deadline *d)
{
    leat_list_unlink(&d->link_);
}

bool leat_deadline_armed(const leat_deadline *d)
{
    return !leat_list_empty(&d->link_);
}
