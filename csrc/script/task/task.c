/* task.c - leat_task_start -> (end of the turn) begin -> resume -> answer, or
 * resume -> begin_wait -> leat_task_wake -> resume -> ...
 *
 * No task runs inside the request for it, nor inside another task: all begin in one sweep. When
 * very many have come at once, some wait for the next turns of the loop, and leave time for others.
 *
 * Whatever may raise (decoding arguments, encoding results) runs on the coroutine, in run_handler
 * around the handler itself, so that one leat_vm_call protects all of it.
 *
 * A wait starts in begin_wait, and not where the handler called for it, because the yield may fail
 * on its way out (in a comparator of table.sort): then nothing must be under way. The ticket tells
 * the continuation of such a wait that the answer which has come belongs to another wait.
 */
#include "script/task/task.h"

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "core/admission.h"
#include "script/sandbox/sandbox_run.h"
#include "script/task/report.h"
#include "script/task/session.h"
#include "wire/request_id.h"

enum {
    MAX_SPARE = 64,              /* ended tasks that are kept for the next */
    MAX_SPARE_BYTES = 16 * 1024, /* of a buffer of an ended task */
};

#define TURN_NS UINT64_C(1000000) /* of each turn of the loop, for tasks that begin */

static void on_end_of_turn(leat_sweep *s);
static void on_deadline(leat_deadline *d);
static void on_resume(leat_deadline *d);
static void on_db(leat_db *db, int err);

/* --- states --- */

#define TO(state) (1u << LEAT_TASK_##state)

static const unsigned edges[LEAT_TASK_STATES] = {
    [LEAT_TASK_FREE] = TO(FILLING),
    [LEAT_TASK_FILLING] = TO(RUNNABLE) | TO(DECIDED) | TO(ENDED),
    [LEAT_TASK_RUNNABLE] = TO(RUNNING) | TO(ENDED),
    [LEAT_TASK_DECIDED] = TO(ENDED),
    [LEAT_TASK_RUNNING] = TO(WAITING_DATABASE) | TO(WAITING_SUBSCRIBE) | TO(WAITING_KEYS) |
                          TO(WAITING_SIGNATURE) | TO(ABANDONED) | TO(ENDED),
    [LEAT_TASK_ABANDONED] = TO(ENDED),
    [LEAT_TASK_WAITING_DATABASE] = TO(RUNNING) | TO(RESUMING) | TO(ENDED),
    [LEAT_TASK_WAITING_SUBSCRIBE] = TO(RUNNING) | TO(RESUMING) | TO(ENDED),
    [LEAT_TASK_WAITING_KEYS] = TO(RUNNING) | TO(RESUMING) | TO(ENDED),
    [LEAT_TASK_WAITING_SIGNATURE] = TO(RUNNING) | TO(RESUMING) | TO(ENDED),
    [LEAT_TASK_RESUMING] = TO(RUNNING) | TO(ENDED),
    [LEAT_TASK_ENDED] = TO(FREE),
};

/* After this nothing calls back into the task. */
static void stop_all(leat_task *t)
{
    leat_deadline_cancel(&t->deadline);
    if (t->wait.kind != NULL && t->wait.kind->stop != NULL)
        t->wait.kind->stop(t);
    t->wait.kind = NULL;
    leat_db_end(&t->db);
}

static void enter(leat_task *t)
{
    leat_loop *loop = t->lua->core->loop;
    switch (t->state) {
    case LEAT_TASK_FREE:
        leat_list_push(&t->lua->spare, &t->link);
        break;
    case LEAT_TASK_RUNNABLE:
    case LEAT_TASK_DECIDED:
        leat_list_push(&t->lua->ready, &t->link);
        leat_sweep_schedule(loop, &t->lua->sweep);
        break;
    case LEAT_TASK_WAITING_DATABASE:
    case LEAT_TASK_WAITING_SUBSCRIBE:
    case LEAT_TASK_WAITING_KEYS:
    case LEAT_TASK_WAITING_SIGNATURE:
        if (!leat_deadline_armed(&t->deadline))
            leat_loop_at(loop, &t->deadline, t->deadline_ms, on_deadline);
        break;
    case LEAT_TASK_RESUMING:
        leat_loop_after(loop, &t->deadline, 0, on_resume);
        break;
    case LEAT_TASK_ENDED:
        stop_all(t);
        break;
    case LEAT_TASK_FILLING:
    case LEAT_TASK_RUNNING:
    case LEAT_TASK_ABANDONED:
    case LEAT_TASK_STATES:
        break;
    }
}

static void set_state(leat_task *t, leat_task_state next)
{
    LEAT_ASSERT((edges[t->state] & (1u << next)) != 0);
    leat_list_unlink(&t->link);
    t->state = next;
    enter(t);
}

/* --- making and keeping --- */

void leat_task_init_lists(leat_lua *lua)
{
    leat_list_init(&lua->ready);
    leat_list_init(&lua->spare);
    leat_sweep_init(&lua->sweep, on_end_of_turn);
}

static void forget_input(leat_task *t)
{
    for (int i = 0; i < LEAT_TASK_PARTS; i++)
        t->input.parts[i].len = SIZE_MAX;
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
    leat_key_waiter_init(&t->wait.key_waiter);
    leat_db_init(&t->db, lua->core, on_db);
    forget_input(t);
    return t;
}

leat_task *leat_task_new(leat_lua *lua, const leat_task_kind *kind, leat_call *call,
                         leat_session *session, uint64_t deadline_ms)
{
    leat_task *t = make(lua);
    set_state(t, LEAT_TASK_FILLING);
    t->id = ++lua->last_task_id;
    t->kind = kind;
    t->call = call;
    t->session = session == NULL ? NULL : leat_session_ref(session);
    t->deadline_ms = deadline_ms;
    t->db.bill = leat_session_bill(session, kind->bill);
    if (call != NULL)
        call->task_ = t;
    leat_vm_hold(lua);
    return t;
}

static void free_task(leat_task *t)
{
    leat_buf_close(&t->input.bytes);
    leat_buf_close(&t->out);
    leat_buf_close(&t->message);
    leat_buf_close(&t->extra);
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

static void reset_coroutine(leat_task *t)
{
    if (t->co_midway && !leat_vm_reset_coroutine(t->lua, t->co)) {
        leat_vm_unref(t->lua, &t->co_ref);
        t->co = NULL;
    }
    t->co_midway = false;
}

static void empty(leat_buf *b)
{
    b->len = 0;
    if (b->cap > MAX_SPARE_BYTES)
        leat_buf_close(b);
}

/* The last act of every task. */
static void recycle(leat_task *t)
{
    leat_lua *lua = t->lua;
    reset_coroutine(t);
    if (t->kind->release != NULL)
        t->kind->release(t);
    leat_session_unref(t->session);
    t->session = NULL;
    t->id = 0;
    t->runnable_ns = t->queued_ns = t->db.waiter.waited_ns = 0;
    t->times = NULL;
    t->request_id = t->db.request_id = (leat_slice){NULL, 0};
    memset(&t->work, 0, sizeof(t->work));
    t->verdict = (leat_verdict){.failure.code = LEAT_CODE_OK};
    empty(&t->input.bytes);
    empty(&t->out);
    empty(&t->message);
    empty(&t->extra);
    empty(&t->db.written);
    forget_input(t);
    set_state(t, LEAT_TASK_FREE);
    if (++lua->n_spare > MAX_SPARE) {
        leat_list_unlink(&t->link);
        lua->n_spare--;
        free_task(t);
    }
    leat_vm_drop(lua);
}

/* --- input --- */

void leat_task_give_appended(leat_task *t, leat_task_part part, size_t from)
{
    t->input.parts[part].at = from;
    t->input.parts[part].len = t->input.bytes.len - from;
}

void leat_task_give(leat_task *t, leat_task_part part, leat_slice slice)
{
    if (slice.at == NULL)
        return;
    size_t from = t->input.bytes.len;
    leat_buf_slice(&t->input.bytes, slice);
    leat_task_give_appended(t, part, from);
}

leat_slice leat_task_given(const leat_task *t, leat_task_part part)
{
    size_t len = t->input.parts[part].len;
    if (len == SIZE_MAX)
        return (leat_slice){NULL, 0};
    if (len == 0)
        return leat_slice_of("");
    return (leat_slice){t->input.bytes.at + t->input.parts[part].at, len};
}

leat_slice leat_task_head(const leat_task *t)
{
    leat_slice own = leat_task_given(t, LEAT_TASK_HEAD);
    return own.at == NULL && t->session != NULL ? leat_session_head(t->session) : own;
}

/* --- ending --- */

/* Observes how long the handler took. One that has not begun is not counted. */
static void note_time(const leat_task *t)
{
    if (t->times == NULL || t->runnable_ns == 0)
        return;
    uint64_t began_ns = t->runnable_ns + t->queued_ns;
    leat_labelled_observe(t->times, (double)(uv_hrtime() - began_ns) / 1e9);
}

static void answer(leat_task *t)
{
    note_time(t);
    set_state(t, LEAT_TASK_ENDED);
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
    verdict.written = leat_buf_view(&t->db.written);
    verdict.queued_ns = t->queued_ns + t->db.waiter.waited_ns;
    t->verdict.session = NULL; /* the asker's now, and so is the grant */
    t->verdict.grant = NULL;
    call->cb(call, &verdict);
}

static leat_report describe(const leat_task *t)
{
    return (leat_report){
        .handler = t->kind->name,
        .label = t->kind->label,
        .name = leat_task_name(t),
        .head = leat_task_head(t),
        .counts = t->times,
        .core = t->lua->core,
    };
}

static void on_deadline(leat_deadline *d)
{
    leat_task *t = LEAT_CONTAINER_OF(d, leat_task, deadline);
    leat_report about = describe(t);
    bool cut_off = leat_db_is_cut_off(&t->db);
    leat_code code = cut_off ? LEAT_CODE_UNAVAILABLE : LEAT_CODE_DEADLINE_EXCEEDED;
    leat_log_subject before = leat_log_about(t->request_id);
    leat_report_deadline(&about, code);
    leat_task_refusal(t, code, (leat_slice){NULL, 0},
                      cut_off ? leat_admission_retry_ms(t->lua->core) : 0);
    t->verdict.failure.read_failed = true;
    answer(t);
    leat_log_about_end(&before);
}

void leat_task_cancel(leat_task *t)
{
    bool running = t->state == LEAT_TASK_RUNNING;
    set_state(t, running ? LEAT_TASK_ABANDONED : LEAT_TASK_ENDED);
    if (t->call != NULL)
        t->call->task_ = NULL;
    t->call = NULL;
    if (!running) /* otherwise resume() goes on from here */
        recycle(t);
}

void leat_task_refusal(leat_task *t, leat_code code, leat_slice message, uint32_t retry_after_ms)
{
    t->verdict.failure.code = code;
    t->verdict.failure.retry_after_ms = retry_after_ms;
    t->verdict.failure.message = (leat_slice){NULL, 0};
    if (message.len == 0)
        return;
    t->message.len = 0;
    leat_buf_slice(&t->message, message);
    leat_buf_char(&t->message, '\0');
    t->verdict.failure.message = (leat_slice){t->message.at, message.len};
}

/* --- failing --- */

static void fail(leat_task *t, leat_vm_outcome outcome)
{
    leat_vm_failure f = {.code = LEAT_CODE_INTERNAL};
    leat_vm_examine(t->lua, t->co, outcome, &f);
    leat_report about = describe(t);
    leat_report_failure(&about, &f);
    /* The message of a failure is for the log, and only that of a refusal is for the client. */
    leat_slice message = f.refused ? leat_buf_view(&f.message) : (leat_slice){NULL, 0};
    leat_task_refusal(t, f.code, message, f.retry_after_ms);
    /* Reading a result again that is too large does not make it smaller. */
    t->verdict.failure.read_failed = f.read_failed && f.code != LEAT_CODE_TOO_LARGE;
    leat_buf_close(&f.message);
    leat_buf_close(&f.trace);
    answer(t);
}

/* The sandbox lets no script yield from a task; a yield that got through all the same ends here. */
static void fail_yield(leat_task *t)
{
    lua_pushliteral(t->co, "a handler may not yield");
    fail(t, LEAT_VM_FAILED);
}

/* --- running --- */

/* [-0, +0, any] */
static int on_handled(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    leat_task *t = (leat_task *)context;
    /* The end of the task rolls it back, and with it what the handler takes for written. */
    if (t->db.state == LEAT_DB_TRANSACTION)
        luaL_error(L,
                   "the handler has ended before its db:transaction: a coroutine in which it began "
                   "was not resumed, or was closed");
    t->kind->finish(L, t);
    return 0;
}

/* The body of the coroutine. [-1, +0, any] yields */
static int run_handler(lua_State *L)
{
    leat_task *t = lua_touserdata(L, 1);
    lua_settop(L, 0);
    int n_args = t->kind->push(L, t);
    lua_callk(L, n_args, 1, (lua_KContext)t, on_handled);
    return on_handled(L, LUA_OK, (lua_KContext)t);
}

static void begin_wait(leat_task *t)
{
    set_state(t, t->wait.kind->state);
    int err = t->wait.kind->start(t);
    if (err < 0)
        leat_task_wake_soon(t, err);
}

static void run_on(leat_task *t, int n_args)
{
    leat_lua *lua = t->lua;
    set_state(t, LEAT_TASK_RUNNING);
    t->co_midway = true;
    lua->running = t;
    leat_vm_outcome outcome = leat_vm_call(lua, t->co, n_args);
    lua->running = NULL;
    if (outcome != LEAT_VM_YIELDED || t->state == LEAT_TASK_ABANDONED)
        t->wait.kind = NULL; /* what the handler asked to wait for never started */
    if (t->state == LEAT_TASK_ABANDONED) {
        set_state(t, LEAT_TASK_ENDED);
        recycle(t);
        return;
    }
    switch (outcome) {
    case LEAT_VM_DONE:
        t->co_midway = false;
        answer(t);
        return;
    case LEAT_VM_YIELDED:
        if (t->wait.kind != NULL)
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

/* What is logged meanwhile, by the script and by those who get its answer, is about the request. */
static void resume(leat_task *t, int n_args)
{
    leat_log_subject before = leat_log_about(t->request_id);
    run_on(t, n_args);
    leat_log_about_end(&before);
}

static void begin(leat_task *t)
{
    if (t->co == NULL)
        t->co = leat_vm_new_coroutine(t->lua, &t->co_ref);
    if (t->co == NULL) {
        LEAT_LOG_ERROR("script", "no memory for a coroutine handler=%s", t->kind->name);
        t->verdict.failure.code = LEAT_CODE_INTERNAL;
        answer(t);
        return;
    }
    lua_pushcfunction(t->co, run_handler);
    lua_pushlightuserdata(t->co, t);
    resume(t, 1);
}

/* A request of its own, else the one that opened the client's connection. */
static leat_slice find_request_id(const leat_task *t)
{
    leat_slice own = leat_task_given(t, LEAT_TASK_HEAD);
    if (own.at != NULL) {
        leat_head head = leat_head_read(own);
        return leat_request_id_of_head(&head);
    }
    return t->session == NULL ? (leat_slice){NULL, 0} : leat_session_request_id(t->session);
}

void leat_task_start(leat_task *t)
{
    t->request_id = find_request_id(t);
    if (t->lua->core->limits->sql_request_id)
        t->db.request_id = t->request_id;
    t->runnable_ns = uv_hrtime();
    set_state(t, LEAT_TASK_RUNNABLE);
}

void leat_task_decide(leat_task *t)
{
    set_state(t, LEAT_TASK_DECIDED);
}

static void begin_or_answer(leat_task *t, uint64_t now_ns)
{
    if (t->state == LEAT_TASK_RUNNABLE) {
        t->queued_ns = now_ns > t->runnable_ns ? now_ns - t->runnable_ns : 0;
        begin(t);
    } else {
        answer(t);
    }
}

/* False once the tasks have had their share of this turn. A turn may come here several times, as
 * the end of a task is the beginning of others. */
static bool has_time(leat_lua *lua, uint64_t *began_ns)
{
    uint64_t now_ns = uv_hrtime();
    if (lua->turn != leat_loop_turn(lua->core->loop))
        lua->spent_ns = 0;
    lua->turn = leat_loop_turn(lua->core->loop);
    lua->spent_ns += now_ns - *began_ns;
    *began_ns = now_ns;
    return lua->spent_ns < TURN_NS;
}

static void on_end_of_turn(leat_sweep *s)
{
    leat_lua *lua = LEAT_CONTAINER_OF(s, leat_lua, sweep);
    uint64_t began_ns = uv_hrtime();
    leat_vm_hold(lua);
    while (!leat_list_empty(&lua->ready) && has_time(lua, &began_ns))
        begin_or_answer(LEAT_CONTAINER_OF(leat_list_shift(&lua->ready), leat_task, link), began_ns);
    if (!leat_list_empty(&lua->ready)) {
        leat_sweep_cancel(s); /* a task that has begun may have scheduled it for this turn */
        leat_sweep_schedule_next(lua->core->loop, s);
    }
    leat_vm_drop(lua);
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
    t->wait.kind = kind;
    t->wait.over = 0;
    t->wait.ticket++;
    return leat_sandbox_run_wait(L, k, (lua_KContext)t->wait.ticket);
}

leat_task *leat_task_waited(lua_State *L, leat_lua *lua, lua_KContext ticket)
{
    leat_task *t = lua->running;
    if (t == NULL || t->wait.over != (uint64_t)ticket)
        luaL_error(L, "cannot wait here");
    t->wait.over = 0;
    return t;
}

static void end_wait(leat_task *t, int err)
{
    t->wait.kind = NULL;
    t->wait.over = t->wait.ticket;
    t->wait.err = err;
}

void leat_task_wake(leat_task *t, int err)
{
    end_wait(t, err);
    resume(t, 0);
}

static void on_db(leat_db *db, int err)
{
    leat_task *t = LEAT_CONTAINER_OF(db, leat_task, db);
    leat_gate_stop(t->lua->core->gate, t->kind->name, leat_task_name(t), db->sql.at);
    leat_task_wake(t, err);
}

static void on_resume(leat_deadline *d)
{
    resume(LEAT_CONTAINER_OF(d, leat_task, deadline), 0);
}

void leat_task_wake_soon(leat_task *t, int err)
{
    end_wait(t, err);
    set_state(t, LEAT_TASK_RESUMING);
}
