/* A hierarchical timing wheel: level n has 64 slots of 64^n ms each, and an entry lies in the level
 * of the highest base-64 digit in which its time differs from `elapsed_ms`, the time up to which
 * the wheel was worked off. So the slots in use of a level all lie ahead of elapsed_ms's own digit,
 * and the lowest level in use always holds the next slot.
 *
 * leat_deadline_arm puts an entry into its slot and, if that slot is the next one, sets the timer
 * to its start. on_timer then works the slots off up to now: entries of a higher level move down,
 * those whose millisecond has come are collected, and then called one at a time, so that each
 * callback may cancel or arm any other.
 *
 * An entry knows no queue: cancelling only unlinks it. The bit of a slot that became empty that way
 * stays set until the wheel comes past; that costs one wake-up and nothing else.
 */
#include "loop/deadline.h"

#include <stdlib.h>

#include "base/mem.h"

enum {
    DIGIT_BITS = 6,
    SLOTS = 1 << DIGIT_BITS,
    LEVELS = 11, /* 11 digits hold any 64-bit time */
};

struct level {
    uint64_t in_use; /* a bit a slot; may be set for a slot that is empty */
    leat_list slots[SLOTS];
};

struct leat_deadline_queue {
    uv_timer_t timer;
    uv_loop_t *uv; /* NULL: driven by leat_deadline_queue_advance alone */
    uint64_t elapsed_ms;
    uint64_t next_ms; /* no slot in use starts before that */
    leat_list due;    /* armed for a time not after elapsed_ms */
    bool advancing;
    bool closing;
    void (*done)(void *arg);
    void *done_arg;
    struct level levels[LEVELS];
};

static uint64_t slot_start(const leat_deadline_queue *q, int level, unsigned slot)
{
    int shift = level * DIGIT_BITS;
    uint64_t above = level + 1 < LEVELS ? ~UINT64_C(0) << (shift + DIGIT_BITS) : 0;
    return (q->elapsed_ms & above) | (uint64_t)slot << shift;
}

/* Puts d where it belongs and returns the time at which that place is to be looked at. */
static uint64_t place(leat_deadline_queue *q, leat_deadline *d)
{
    if (d->at_ms_ <= q->elapsed_ms) {
        leat_list_push(&q->due, &d->link_);
        return q->elapsed_ms;
    }
    int level = (63 - __builtin_clzll(d->at_ms_ ^ q->elapsed_ms)) / DIGIT_BITS;
    unsigned slot = (unsigned)(d->at_ms_ >> (level * DIGIT_BITS)) & (SLOTS - 1);
    leat_list_push(&q->levels[level].slots[slot], &d->link_);
    q->levels[level].in_use |= UINT64_C(1) << slot;
    return slot_start(q, level, slot);
}

/* Finds the next slot that holds an entry, forgetting those that no longer do. */
static struct level *find_next(leat_deadline_queue *q, unsigned *slot, uint64_t *start_ms)
{
    for (int i = 0; i < LEVELS; i++) {
        struct level *level = &q->levels[i];
        while (level->in_use != 0) {
            *slot = (unsigned)__builtin_ctzll(level->in_use);
            if (!leat_list_empty(&level->slots[*slot])) {
                *start_ms = slot_start(q, i, *slot);
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
        unsigned slot;
        uint64_t start_ms;
        struct level *level = find_next(q, &slot, &start_ms);
        q->next_ms = start_ms;
        if (level == NULL || start_ms > now_ms)
            break;

        leat_list entries;
        leat_list_move(&entries, &level->slots[slot]);
        level->in_use &= ~(UINT64_C(1) << slot);
        q->elapsed_ms = start_ms;
        for (leat_list *link; (link = leat_list_shift(&entries)) != NULL;)
            place(q, LEAT_CONTAINER_OF(link, leat_deadline, link_));
    }
    if (now_ms > q->elapsed_ms)
        q->elapsed_ms = now_ms;
}

static void on_timer(uv_timer_t *timer);

/* least_ms: inside the timer's callback a timeout of 0 would run again in this turn, and a deadline
 * that always arms itself for now would never let the loop go on. */
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
        for (int slot = 0; slot < SLOTS; slot++)
            leat_list_init(&q->levels[i].slots[slot]);
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

    /* With no slot between elapsed_ms and now, the wheel may jump: it keeps the entry's level low
     * after an idle spell. */
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
