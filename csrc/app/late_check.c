/* late_check.c - the timer starts an examination (on_time), which runs on a thread of libuv's pool
 * (on_thread). Its answer comes back to the loop (on_done), which starts the timer again if the
 * database could not be reached. */
#include "app/late_check.h"

#include "base/container_of.h"
#include "engine/check.h"

enum { RETRY_MS = 2000 };

/* A thread of the pool has no log of its own. */
static void on_thread(uv_work_t *work)
{
    leat_late_check *c = LEAT_CONTAINER_OF(work, leat_late_check, work_);
    leat_log_bind(c->log);
    c->err_ = leat_check_database(c->config, &c->why_);
    leat_log_bind(NULL);
}

static void on_time(uv_timer_t *timer);

static void on_done(uv_work_t *work, int status)
{
    leat_late_check *c = LEAT_CONTAINER_OF(work, leat_late_check, work_);
    bool answered = status == 0 && !leat_check_is_unreachable(c->err_);
    if (!c->ended_ && !answered)
        uv_timer_start(&c->timer_, on_time, RETRY_MS, 0);
    else if (!c->ended_ && c->err_ == 0)
        LEAT_LOG_INFO("server", "the database is there, and was examined");
    else if (!c->ended_)
        c->on_refused(c->arg, &c->why_);
    leat_buf_close(&c->why_);
}

static void on_time(uv_timer_t *timer)
{
    leat_late_check *c = LEAT_CONTAINER_OF(timer, leat_late_check, timer_);
    if (uv_queue_work(timer->loop, &c->work_, on_thread, on_done) < 0)
        uv_timer_start(timer, on_time, RETRY_MS, 0);
}

void leat_late_check_begin(leat_late_check *c, uv_loop_t *loop)
{
    uv_timer_init(loop, &c->timer_);
    uv_timer_start(&c->timer_, on_time, 0, 0);
}

void leat_late_check_end(leat_late_check *c)
{
    c->ended_ = true;
    uv_close((uv_handle_t *)&c->timer_, NULL);
}
