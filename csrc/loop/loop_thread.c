/* loop_thread.c - run_loop: the handles of a leat_loop keep no loop alive. So uv_run returns when
 * all other handles are closed; then these are closed, too.
 */
#include "loop/loop_thread.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/thread.h"

struct leat_loop_thread {
    uv_loop_t uv;
    leat_loop *loop;
    uv_thread_t thread;
    bool started;
    char name[24];
    leat_log *log;
    void (*begin)(void *arg);
    void *arg;
};

int leat_loop_thread_new(leat_loop_thread **out)
{
    leat_loop_thread *t = leat_calloc(1, sizeof(*t));
    int err = uv_loop_init(&t->uv);
    if (err < 0)
        goto no_uv;
    err = leat_loop_new(&t->loop, &t->uv);
    if (err < 0)
        goto no_loop;
    *out = t;
    return 0;

no_loop:
    uv_run(&t->uv, UV_RUN_DEFAULT);
    uv_loop_close(&t->uv);
no_uv:
    free(t);
    return err;
}

leat_loop *leat_loop_thread_loop(leat_loop_thread *t)
{
    return t->loop;
}

static void run_loop(leat_loop_thread *t)
{
    uv_run(&t->uv, UV_RUN_DEFAULT);
    leat_loop_close(t->loop, NULL, NULL);
    uv_run(&t->uv, UV_RUN_DEFAULT);
    LEAT_ASSERT(uv_loop_close(&t->uv) == 0);
}

static void run_thread(void *arg)
{
    leat_loop_thread *t = arg;
    leat_thread_name(t->name);
    leat_log_bind(t->log);
    if (t->begin != NULL)
        t->begin(t->arg);
    run_loop(t);
    leat_log_bind(NULL);
}

int leat_loop_thread_start(leat_loop_thread *t, const char *name, leat_log *log,
                           void (*begin)(void *arg), void *arg)
{
    snprintf(t->name, sizeof(t->name), "%s", name);
    t->log = log;
    t->begin = begin;
    t->arg = arg;
    const uv_thread_options_t options = {UV_THREAD_HAS_STACK_SIZE, LEAT_LOOP_THREAD_STACK_BYTES};
    int err = uv_thread_create_ex(&t->thread, &options, run_thread, t);
    t->started = err == 0;
    return err;
}

void leat_loop_thread_end(leat_loop_thread *t)
{
    if (t->started)
        uv_thread_join(&t->thread);
    else
        run_loop(t);
    free(t);
}
