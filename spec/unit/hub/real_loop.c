#include "real_loop.h"

void real_loop_open(real_loop *l)
{
    int err = uv_loop_init(&l->uv);
    LEAT_ASSERT(err == 0);
    err = uv_timer_init(&l->uv, &l->timer);
    LEAT_ASSERT(err == 0);
    err = leat_loop_new(&l->loop, &l->uv);
    LEAT_ASSERT(err == 0);
}

void real_loop_close(real_loop *l)
{
    uv_close((uv_handle_t *)&l->timer, NULL);
    leat_loop_close(l->loop, NULL, NULL);
    uv_run(&l->uv, UV_RUN_DEFAULT);
    int err = uv_loop_close(&l->uv);
    LEAT_ASSERT(err == 0);
}

static void on_time(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

void real_loop_turn(real_loop *l, uint64_t ms)
{
    uv_timer_start(&l->timer, on_time, ms, 0);
    uv_run(&l->uv, UV_RUN_DEFAULT);
}
