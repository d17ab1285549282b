/* pg_thread.c - run_job runs the call and wakes the loop. on_async or on_timer, whichever comes
 * first, closes both handles, and the last close callback calls done. The loop and the thread both
 * hold the object, and the last one to let go frees it. That may be the thread, long after the loop
 * is gone.
 */
#include "pg/pg_thread.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/thread.h"

struct leat_pg_thread {
    leat_pg_thread_work work;
    void *job;
    void *arg;
    uv_async_t async;
    uv_timer_t timer;
    int open_handles;

    pthread_mutex_t lock;
    bool returned;     /* under lock: the call has returned */
    bool loop_is_gone; /* under lock: async may not be touched */
    int holders;       /* under lock */
};

static void let_go(leat_pg_thread *t)
{
    pthread_mutex_lock(&t->lock);
    bool last = --t->holders == 0;
    pthread_mutex_unlock(&t->lock);
    if (!last)
        return;
    t->work.free_job(t->job);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

static void *run_job(void *arg)
{
    leat_pg_thread *t = arg;
    leat_thread_name("leat-pg");
    t->work.run(t->job);
    pthread_mutex_lock(&t->lock);
    t->returned = true;
    if (!t->loop_is_gone)
        uv_async_send(&t->async);
    pthread_mutex_unlock(&t->lock);
    let_go(t);
    return NULL;
}

static void on_closed(uv_handle_t *handle)
{
    leat_pg_thread *t = handle->data;
    if (--t->open_handles > 0)
        return;
    pthread_mutex_lock(&t->lock);
    bool returned = t->returned;
    pthread_mutex_unlock(&t->lock);
    t->work.done(t->arg, t->job, returned);
    let_go(t);
}

static void close_handles(leat_pg_thread *t)
{
    pthread_mutex_lock(&t->lock);
    bool closing = t->loop_is_gone;
    t->loop_is_gone = true;
    pthread_mutex_unlock(&t->lock);
    if (closing)
        return;
    uv_close((uv_handle_t *)&t->async, on_closed);
    uv_close((uv_handle_t *)&t->timer, on_closed);
}

static void on_async(uv_async_t *async)
{
    close_handles(async->data);
}

static void on_timer(uv_timer_t *timer)
{
    close_handles(timer->data);
}

/* The thread is detached. */
static int start_thread(leat_pg_thread *t)
{
    pthread_attr_t attr;
    int err = pthread_attr_init(&attr);
    if (err != 0)
        return uv_translate_sys_error(err);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);

    pthread_t thread;
    err = leat_thread_start(&thread, &attr, run_job, t);
    pthread_attr_destroy(&attr);
    return err == 0 ? 0 : uv_translate_sys_error(err);
}

static void on_never_started(uv_handle_t *handle)
{
    leat_pg_thread *t = handle->data;
    if (--t->open_handles > 0)
        return;
    pthread_mutex_destroy(&t->lock);
    free(t);
}

int leat_pg_thread_start(leat_pg_thread **out, uv_loop_t *uv, const leat_pg_thread_work *work,
                         void *job, void *arg)
{
    leat_pg_thread *t = leat_calloc(1, sizeof(*t));
    int err = uv_async_init(uv, &t->async, on_async);
    if (err < 0) {
        free(t);
        return err;
    }
    uv_timer_init(uv, &t->timer);
    t->async.data = t->timer.data = t;
    t->open_handles = 2;
    t->work = *work;
    t->job = job;
    t->arg = arg;
    t->holders = 2;
    pthread_mutex_init(&t->lock, NULL);

    err = start_thread(t);
    if (err < 0) {
        uv_close((uv_handle_t *)&t->async, on_never_started);
        uv_close((uv_handle_t *)&t->timer, on_never_started);
        return err;
    }
    *out = t;
    return 0;
}

void leat_pg_thread_set_timeout(leat_pg_thread *t, uint64_t timeout_ms)
{
    if (!uv_is_closing((uv_handle_t *)&t->timer))
        uv_timer_start(&t->timer, on_timer, timeout_ms, 0);
}
