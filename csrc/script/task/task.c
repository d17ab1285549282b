/* task.c - leat_task_start -> (end of the turn) begin -> resume -> answer, or
 * resume -> begin_wait -> leat_task_wake -> resume -> ...
 *
 * No task runs inside the request for it, nor inside another: all begin in one sweep. Everything
 * that may raise (decoding arguments, encoding results) happens on the coroutine, in run_handler
 * around the handler itself, so that one leat_vm_call protects all of it.
 *
 * A wait is begun here and not where the handler called for it, because the yield may fail on its
 * way out (a comparator of table.sort): then nothing must be under way. The ticket tells the
 * continuation of an abandoned wait that it is not its answer that has come.
 */
#include "script/task/task.h"

#include <stdlib.h>

#include <lauxlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "script/sandbox/sandbox_run.h"

enum {
    MAX_SPARE = 64,              /* ended tasks kept for the next */
    MAX_SPARE_BYTES = 16 * 1024, /* of a buffer of these */
    RETRY_AFTER_MS = 1000,
};

static void on_sweep(leat_sweep *s);
static void on_deadline(leat_deadline *d);
static void on_soon(leat_deadline *d);
static void stop(leat_task *t);
static void answer(leat_task *t);

/* --- making and keeping --- */

void leat_task_init_lists(leat_lua *lua)
{
    leat_list_init(&lua->ready);
    leat_list_init(&lua->waiting);
    leat_list_init(&lua->spare);
    leat_sweep_init(&lua->sweep, on_sweep);
}

static leat_task *make(leat_lua *lua)
{
    leat_list *link = leat_list_shift(&lua->spare);
    if (link != NULL) {
        lua->n_spare--;
        return LEAT_CONTAINER_OF(link, leat_task, link);
    }
    leat_task *t = leat_calloc(1, sizeof(*t));
    t->lua = lua;
    t->co_ref = LUA_NOREF;
    leat_list_init(&t->link);
    leat_deadline_init(&t->deadline);
    leat_deadline_init(&t->soon);
    leat_db_init(&t->db, t);
    return t;
}

leat_task *leat_task_new(leat_lua *lua, const leat_task_kind *kind, leat_call *call,
                         uint64_t deadline_ms)
{
    leat_task *t = make(lua);
    t->id = ++lua->last_task_id;
    t->kind = kind;
    t->call = call;
    t->fn = LUA_NOREF;
    t->deadline_ms = deadline_ms;
    if (call != NULL)
        call->task_ = t;
    leat_vm_hold(lua);
    return t;
}

static leat_buf *buffer(leat_task *t, int i)
{
    leat_buf *all[] = {&t->name, &t->payload, &t->head,  &t->body,
                       &t->out,  &t->message, &t->lines, &t->asked.text};
    return i < (int)(sizeof(all) / sizeof(all[0])) ? all[i] : NULL;
}

static void free_task(leat_task *t)
{
    leat_buf *b;
    for (int i = 0; (b = buffer(t, i)) != NULL; i++)
        leat_buf_close(b);
    leat_db_free(&t->db);
    leat_vm_unref(t->lua, &t->co_ref);
    free(t);
}

void leat_task_free_spare(leat_lua *lua)
{
    for (leat_list *link; (link = leat_list_shift(&lua->spare)) != NULL;)
        free_task(LEAT_CONTAINER_OF(link, leat_task, link));
    lua->n_spare = 0;
}

static void clean_coroutine(leat_task *t)
{
    if (t->dirty && !leat_vm_reset_coroutine(t->lua, t->co)) {
        leat_vm_unref(t->lua, &t->co_ref);
        t->co = NULL;
    }
    t->dirty = false;
}

/* The last act of every task. */
static void recycle(leat_task *t)
{
    leat_lua *lua = t->lua;
    leat_list_unlink(&t->link);
    clean_coroutine(t);
    leat_session_unref(t->session);
    leat_session_unref(t->verdict.session); /* one that was not handed over */
    if (t->owns_grant)
        leat_session_grant_free(&t->grant->base);
    leat_buf *b;
    for (int i = 0; (b = buffer(t, i)) != NULL; i++) {
        b->len = 0;
        if (b->cap > MAX_SPARE_BYTES)
            leat_buf_close(b);
    }
    t->id = 0;
    t->cancelled = t->owns_grant = t->woken = t->has_body = false;
    t->session = NULL;
    t->client = 0;
    t->topic = NULL;
    t->route = NULL;
    t->grant = NULL;
    t->owner = NULL;
    t->route_cb = NULL;
    t->nesting = 0;
    t->status = 0;
    t->verdict = (leat_verdict){.code = LEAT_CODE_OK};
    if (lua->n_spare < MAX_SPARE) {
        leat_list_push(&lua->spare, &t->link);
        lua->n_spare++;
    } else {
        free_task(t);
    }
    leat_vm_drop(lua);
}

/* --- running --- */

void leat_task_start(leat_task *t)
{
    leat_list_push(&t->lua->ready, &t->link);
    leat_sweep_schedule(t->lua->core->loop, &t->lua->sweep);
}

/* [-0, +0, any] */
static int on_handled(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    leat_task *t = (leat_task *)context;
    t->kind->finish(L, t);
    return 0;
}

/* The coroutine's body. [-1, +0, any] yields */
static int run_handler(lua_State *L)
{
    leat_task *t = lua_touserdata(L, 1);
    lua_settop(L, 0);
    int n_args = t->kind->push(L, t);
    lua_callk(L, n_args, 1, (lua_KContext)t, on_handled);
    return on_handled(L, LUA_OK, (lua_KContext)t);
}

void leat_task_refusal(leat_task *t, leat_code code, leat_slice message, uint32_t retry_after_ms)
{
    t->verdict.code = code;
    t->verdict.retry_after_ms = retry_after_ms;
    t->verdict.message = (leat_slice){NULL, 0};
    if (message.len == 0)
        return;
    t->message.len = 0;
    leat_buf_slice(&t->message, message);
    leat_buf_char(&t->message, '\0');
    t->verdict.message = (leat_slice){t->message.at, message.len};
}

static void log_failure(const leat_task *t, const leat_vm_failure *f)
{
    char name[300];
    char text[4096];
    leat_log_quote(name, sizeof(name), t->name.at, t->name.len);
    if (f->trace.len > 0) {
        leat_log_quote(text, sizeof(text), f->trace.at, f->trace.len);
        LEAT_LOG_ERROR("script", "script failed handler=%s %s=%s%s%s err=%s", t->kind->name,
                       t->kind->label, name, f->sqlstate[0] != '\0' ? " sqlstate=" : "",
                       f->sqlstate, text);
    } else if (f->read_failed) {
        leat_log_quote(text, sizeof(text), f->message.at, f->message.len);
        /* What a client has sent is not for an operator to mend. */
        leat_log_level level =
            f->code == LEAT_CODE_BAD_REQUEST ? LEAT_LOG_LEVEL_INFO : LEAT_LOG_LEVEL_WARN;
        leat_log_write(level, "script", "read failed handler=%s %s=%s code=%s%s%s err=%s",
                       t->kind->name, t->kind->label, name, leat_code_name(f->code),
                       f->sqlstate[0] != '\0' ? " sqlstate=" : "", f->sqlstate, text);
    }
}

static void fail(leat_task *t, leat_vm_outcome outcome)
{
    leat_vm_failure f = {.code = LEAT_CODE_INTERNAL};
    leat_vm_examine(t->lua, t->co, outcome, &f);
    log_failure(t, &f);
    /* What failed is for the log. */
    leat_slice message = f.refused ? leat_buf_view(&f.message) : (leat_slice){NULL, 0};
    leat_task_refusal(t, f.code, message, f.retry_after_ms);
    /* Reading what is too large again does not make it smaller. */
    t->verdict.read_failed = f.read_failed && f.code != LEAT_CODE_TOO_LARGE;
    leat_buf_close(&f.message);
    leat_buf_close(&f.trace);
    answer(t);
}

/* The sandbox lets no script yield from a task; if one got through all the same, it ends here. */
static void fail_yield(leat_task *t)
{
    lua_pushliteral(t->co, "a handler may not yield");
    fail(t, LEAT_VM_FAILED);
}

static void begin_wait(leat_task *t)
{
    if (!leat_deadline_armed(&t->deadline))
        leat_loop_at(t->lua->core->loop, &t->deadline, t->deadline_ms, on_deadline);
    int err = t->wait->start(t);
    if (err < 0)
        leat_task_wake_soon(t, err);
}

static void resume(leat_task *t, int n_args)
{
    leat_lua *lua = t->lua;
    t->dirty = true;
    lua->running = t;
    leat_vm_outcome outcome = leat_vm_call(lua, t->co, n_args);
    lua->running = NULL;
    if (outcome != LEAT_VM_YIELDED)
        t->wait = NULL; /* one whose yield failed: it was never begun */
    if (t->cancelled) {
        t->wait = NULL;
        stop(t);
        recycle(t);
        return;
    }
    switch (outcome) {
    case LEAT_VM_DONE:
        t->dirty = false;
        answer(t);
        return;
    case LEAT_VM_YIELDED:
        if (t->wait != NULL)
            begin_wait(t);
        else
            fail_yield(t);
        return;
    case LEAT_VM_FAILED:
    case LEAT_VM_BUDGET:
        fail(t, outcome);
        return;
    }
}

static void begin(leat_task *t)
{
    if (t->verdict.code != LEAT_CODE_OK || t->kind->push == NULL) {
        answer(t);
        return;
    }
    if (t->co == NULL)
        t->co = leat_vm_new_coroutine(t->lua, &t->co_ref);
    if (t->co == NULL) {
        LEAT_LOG_ERROR("script", "no memory for a coroutine handler=%s", t->kind->name);
        t->verdict.code = LEAT_CODE_INTERNAL;
        answer(t);
        return;
    }
    lua_pushcfunction(t->co, run_handler);
    lua_pushlightuserdata(t->co, t);
    resume(t, 1);
}

static void on_sweep(leat_sweep *s)
{
    leat_lua *lua = LEAT_CONTAINER_OF(s, leat_lua, sweep);
    leat_vm_hold(lua);
    for (leat_list *link; (link = leat_list_shift(&lua->ready)) != NULL;) {
        leat_list_push(&lua->waiting, link);
        begin(LEAT_CONTAINER_OF(link, leat_task, link));
    }
    leat_vm_drop(lua);
}

/* --- ending --- */

/* Nothing calls back into the task after this. */
static void stop(leat_task *t)
{
    leat_list_unlink(&t->link);
    leat_deadline_cancel(&t->deadline);
    leat_deadline_cancel(&t->soon);
    if (t->wait != NULL)
        t->wait->stop(t);
    t->wait = NULL;
    leat_db_end(&t->db, t);
}

static void answer(leat_task *t)
{
    stop(t);
    t->kind->answer(t);
    recycle(t);
}

void leat_task_answer_call(leat_task *t)
{
    leat_call *call = t->call;
    t->call = NULL;
    if (call == NULL)
        return;
    call->task_ = NULL;
    leat_verdict verdict = t->verdict;
    t->verdict.session = NULL;
    if (verdict.grant != NULL)
        t->owns_grant = false;
    call->cb(call, &verdict);
}

static void on_deadline(leat_deadline *d)
{
    leat_task *t = LEAT_CONTAINER_OF(d, leat_task, deadline);
    char name[300];
    bool cut_off = leat_db_is_cut_off(&t->db, t);
    leat_code code = cut_off ? LEAT_CODE_UNAVAILABLE : LEAT_CODE_DEADLINE_EXCEEDED;
    LEAT_LOG_WARN("script", "deadline passed handler=%s %s=%s code=%s", t->kind->name,
                  t->kind->label, leat_log_quote(name, sizeof(name), t->name.at, t->name.len),
                  leat_code_name(code));
    leat_task_refusal(t, code, (leat_slice){NULL, 0}, cut_off ? RETRY_AFTER_MS : 0);
    t->verdict.read_failed = true;
    answer(t);
}

void leat_task_cancel(leat_task *t)
{
    bool running = t->lua->running == t;
    if (!running)
        stop(t);
    if (t->call != NULL)
        t->call->task_ = NULL;
    t->call = NULL;
    t->cancelled = running; /* its coroutine is on the C stack: resume() goes on from here */
    if (!running)
        recycle(t);
}

/* --- waiting --- */

leat_task *leat_task_running(lua_State *L, leat_lua *lua)
{
    if (lua->running == NULL)
        luaL_error(L, "cannot wait here: no handler is running");
    return lua->running;
}

int leat_task_wait(lua_State *L, leat_task *t, const leat_task_wait_kind *kind, lua_KFunction k)
{
    t->wait = kind;
    t->woken = false;
    t->ticket++;
    return leat_sandbox_run_wait(L, k, (lua_KContext)t->ticket);
}

leat_task *leat_task_waited(lua_State *L, leat_lua *lua, lua_KContext ticket)
{
    leat_task *t = lua->running;
    if (t == NULL || !t->woken || t->ticket != (uint64_t)ticket)
        luaL_error(L, "cannot wait here");
    t->woken = false;
    return t;
}

static void set_outcome(leat_task *t, int err)
{
    t->wait = NULL;
    t->woken = true;
    t->err = err;
}

void leat_task_wake(leat_task *t, int err)
{
    set_outcome(t, err);
    resume(t, 0);
}

static void on_soon(leat_deadline *d)
{
    resume(LEAT_CONTAINER_OF(d, leat_task, soon), 0);
}

void leat_task_wake_soon(leat_task *t, int err)
{
    set_outcome(t, err);
    leat_loop *loop = t->lua->core->loop;
    leat_loop_after(loop, &t->soon, 0, on_soon);
}

leat_slice leat_task_name(const leat_task *t)
{
    return leat_buf_view(&t->name);
}
