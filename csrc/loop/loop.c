/* loop.c - in a turn of the loop, uv's callbacks run and schedule sweeps. on_check runs the sweeps
 * after polling. on_prepare runs those that were scheduled by timers, or before uv_run. An output
 * sweep waits until no other sweep is left, because each of those may have more to send.
 *
 * These two handles do not keep the loop alive, but a scheduled sweep does: then the prepare handle
 * is referenced. So a sweep that the last close callback schedules runs, too.
 *
 * on_idle runs sweeps of later turns, until their time is used up. An active idle handle makes uv
 * poll without waiting. on_check begins with the sweeps that were left for the next turn: on_idle,
 * which comes before polling, would run them ahead of what has arrived.
 */
#include "loop/loop.h"

#include <stdlib.h>

#include "base/mem.h"

#define LATER_NS UINT64_C(500000) /* of each turn */

struct leat_loop {
    uv_loop_t *uv;
    uv_prepare_t prepare;
    uv_check_t check;
    leat_deadline_queue *deadlines;
    leat_watches *watches;
    leat_list sweeps;
    leat_list outputs; /* sweeps that come last */
    leat_list next;    /* sweeps of the next turn */
    uv_idle_t idle;    /* active while there are such, or: */
    leat_list later;   /* sweeps of later turns, the one that waits longest first */
    leat_random random;
    leat_pool *pool;
    uint64_t turn;
    int open_handles;
    void (*done)(void *arg);
    void *done_arg;
};

static leat_list *next_sweep(leat_loop *l)
{
    leat_list *link = leat_list_shift(&l->sweeps);
    return link != NULL ? link : leat_list_shift(&l->outputs);
}

static void run_sweeps(leat_loop *l)
{
    for (leat_list *link; (link = next_sweep(l)) != NULL;) {
        leat_sweep *s = LEAT_CONTAINER_OF(link, leat_sweep, link_);
        s->cb_(s);
    }
    uv_unref((uv_handle_t *)&l->prepare);
}

static void on_prepare(uv_prepare_t *prepare)
{
    run_sweeps(prepare->data);
}

static void on_check(uv_check_t *check)
{
    leat_loop *l = check->data;
    l->turn++;
    for (leat_list *link; (link = leat_list_shift(&l->next)) != NULL;)
        leat_list_push(&l->sweeps, link);
    run_sweeps(l);
}

static void on_idle(uv_idle_t *idle)
{
    leat_loop *l = idle->data;
    uint64_t end_ns = uv_hrtime() + LATER_NS;
    for (leat_list *link; (link = leat_list_shift(&l->later)) != NULL;) {
        leat_sweep *s = LEAT_CONTAINER_OF(link, leat_sweep, link_);
        s->cb_(s);
        if (uv_hrtime() >= end_ns)
            return;
    }
    if (leat_list_empty(&l->next))
        uv_idle_stop(idle);
}

int leat_loop_new(leat_loop **out, uv_loop_t *uv)
{
    leat_loop *l = leat_calloc(1, sizeof(*l));
    int err = leat_watches_new(&l->watches, uv);
    if (err < 0)
        goto no_watches;
    err = leat_deadline_queue_new(&l->deadlines, uv);
    if (err < 0)
        goto no_deadlines;
    l->uv = uv;
    l->pool = leat_pool_new(LEAT_PLAIN_POOL);
    leat_list_init(&l->sweeps);
    leat_list_init(&l->outputs);
    leat_list_init(&l->next);
    leat_list_init(&l->later);
    leat_random_init(&l->random);

    /* These five always succeed, as libuv documents. */
    uv_idle_init(uv, &l->idle);
    uv_prepare_init(uv, &l->prepare);
    uv_check_init(uv, &l->check);
    uv_prepare_start(&l->prepare, on_prepare);
    uv_check_start(&l->check, on_check);
    uv_unref((uv_handle_t *)&l->prepare);
    uv_unref((uv_handle_t *)&l->check);
    l->prepare.data = l->check.data = l->idle.data = l;
    *out = l;
    return 0;

no_deadlines:
    leat_watches_close(l->watches, NULL, NULL);
no_watches:
    free(l);
    return err;
}

static void drop_handle(void *arg)
{
    leat_loop *l = arg;
    if (--l->open_handles > 0)
        return;
    void (*done)(void *) = l->done;
    void *done_arg = l->done_arg;
    leat_pool_free(l->pool);
    free(l);
    if (done != NULL)
        done(done_arg);
}

static void on_closed(uv_handle_t *handle)
{
    drop_handle(handle->data);
}

void leat_loop_close(leat_loop *l, void (*done)(void *arg), void *arg)
{
    LEAT_ASSERT(leat_list_empty(&l->sweeps) && leat_list_empty(&l->outputs) &&
                leat_list_empty(&l->next) && leat_list_empty(&l->later));
    LEAT_ASSERT(l->open_handles == 0);
    l->done = done;
    l->done_arg = arg;
    l->open_handles = 5;
    uv_close((uv_handle_t *)&l->idle, on_closed);
    uv_close((uv_handle_t *)&l->prepare, on_closed);
    uv_close((uv_handle_t *)&l->check, on_closed);
    leat_deadline_queue_close(l->deadlines, drop_handle, l);
    leat_watches_close(l->watches, drop_handle, l);
}

uv_loop_t *leat_loop_uv(leat_loop *l)
{
    return l->uv;
}

uint64_t leat_loop_now(const leat_loop *l)
{
    return uv_now(l->uv);
}

leat_deadline_queue *leat_loop_deadlines(leat_loop *l)
{
    return l->deadlines;
}

uint64_t leat_loop_turn(const leat_loop *l)
{
    return l->turn;
}

leat_watches *leat_loop_watches(leat_loop *l)
{
    return l->watches;
}

void leat_loop_at(leat_loop *l, leat_deadline *d, uint64_t at_ms, leat_deadline_cb cb)
{
    leat_deadline_arm(l->deadlines, d, at_ms, cb);
}

void leat_loop_after(leat_loop *l, leat_deadline *d, uint64_t ms, leat_deadline_cb cb)
{
    leat_deadline_arm(l->deadlines, d, uv_now(l->uv) + ms, cb);
}

leat_pool *leat_loop_pool(leat_loop *l)
{
    return l->pool;
}

leat_random *leat_loop_random(leat_loop *l)
{
    return &l->random;
}

void leat_sweep_init(leat_sweep *s, leat_sweep_cb cb)
{
    leat_list_init(&s->link_);
    s->cb_ = cb;
}

static void schedule(leat_loop *l, leat_sweep *s, leat_list *sweeps)
{
    if (!leat_list_empty(&s->link_))
        return;
    leat_list_push(sweeps, &s->link_);
    uv_ref((uv_handle_t *)&l->prepare);
}

void leat_sweep_schedule(leat_loop *l, leat_sweep *s)
{
    schedule(l, s, &l->sweeps);
}

void leat_sweep_schedule_output(leat_loop *l, leat_sweep *s)
{
    schedule(l, s, &l->outputs);
}

static void schedule_idle(leat_loop *l, leat_sweep *s, leat_list *sweeps)
{
    if (!leat_list_empty(&s->link_))
        return;
    leat_list_push(sweeps, &s->link_);
    uv_idle_start(&l->idle, on_idle);
}

void leat_sweep_schedule_later(leat_loop *l, leat_sweep *s)
{
    schedule_idle(l, s, &l->later);
}

void leat_sweep_schedule_next(leat_loop *l, leat_sweep *s)
{
    schedule_idle(l, s, &l->next);
}

void leat_sweep_cancel(leat_sweep *s)
{
    leat_list_unlink(&s->link_);
}
