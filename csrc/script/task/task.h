/* task.h - one run of a handler: a coroutine, what it works on, what it waits for, its answer.
 *
 * Ownership  a task belongs to its leat_lua, which keeps ended ones for the next. Whoever starts
 *            one fills it in between leat_task_new and leat_task_start; afterwards it goes its own
 *            way, to kind->answer or to leat_task_cancel.
 * Threads    loop thread of the worker.
 * Units      absolute milliseconds on the loop clock.
 * Errors     end in the verdict.
 */
#ifndef LEAT_SCRIPT_TASK_TASK_H
#define LEAT_SCRIPT_TASK_TASK_H

#include <stdbool.h>
#include <stdint.h>

#include <lua.h>

#include "base/buf.h"
#include "base/list.h"
#include "core/route.h"
#include "core/script.h"
#include "loop/deadline.h"
#include "script/task/db.h"
#include "script/task/session.h"
#include "script/task/vm.h"

typedef struct leat_task leat_task;

/* What kinds of handler differ in. push and finish run on the task's coroutine and may raise. */
typedef struct leat_task_kind {
    const char *name;  /* for log lines: handler=NAME */
    const char *label; /* for log lines: what t->name is, "topic" */
    /* Pushes the handler and its arguments, and returns the number of these. NULL: nothing is to be
     * run, the verdict stands. */
    int (*push)(lua_State *L, leat_task *t);
    /* The handler's one result is on top: turns it into t->verdict and t->out. */
    void (*finish)(lua_State *L, leat_task *t);
    /* Hands the answer over, as its last act. t->call is NULL if there is nobody to hear it. */
    void (*answer)(leat_task *t);
    leat_pg_kind bill; /* what its reads are */
    bool authorizes;   /* a `subscribe` handler */
} leat_task_kind;

/* Something to wait for: begun once the handler's yield has arrived at the runner. */
typedef struct leat_task_wait_kind {
    /* Returns 0 if leat_task_wake will follow (not from inside), else the error to wake with. */
    int (*start)(leat_task *t);
    void (*stop)(leat_task *t); /* leat_task_wake will not follow after all */
} leat_task_wait_kind;

struct leat_task {
    leat_list link;
    leat_lua *lua;
    uint64_t id; /* never used again: handles of an ended task are told by it */
    const leat_task_kind *kind;
    leat_call *call; /* who hears the answer */
    lua_State *co;   /* NULL until it is needed */
    int co_ref;
    bool dirty; /* the coroutine stands somewhere in the middle */
    bool cancelled;
    uint64_t deadline_ms;
    leat_deadline deadline;
    leat_deadline soon; /* wakes on the next turn */

    /* What the handler works on. */
    leat_buf name;    /* topic, method or path */
    leat_buf payload; /* params or data, as JSON; empty: none */
    leat_buf head;    /* the request, packed; empty: the session's counts */
    leat_buf body;    /* of the request */
    bool has_body;    /* an empty one included */
    int fn;           /* the handler, a registry reference of somebody else */
    leat_session *session;
    uint64_t client; /* of a connect, which has no session yet */
    const leat_vm_topic *topic;
    const leat_vm_route *route;
    int64_t seq;
    leat_session_grant
        *grant; /* subscribe: made by the handler, owned; refresh, snapshot: borrowed */
    bool owns_grant;
    void *owner; /* raw.c's */
    leat_route_cb route_cb;
    int nesting; /* leat.subscribe within subscribe handlers */
    leat_db db;

    /* What it waits for. */
    const leat_task_wait_kind *wait; /* NULL: nothing */
    uint64_t ticket;                 /* of this wait */
    bool woken;
    int err; /* what the wait ended with */
    struct {
        leat_buf text; /* topic, epoch, params, one after another */
        size_t topic_len;
        size_t epoch_len;
        int64_t seq;
        uint64_t deadline_ms;
        leat_code code; /* leat.subscribe's outcome; its message is in text */
    } asked;            /* of the core, by leat.subscribe or app:resync */

    /* The answer. */
    leat_verdict verdict;
    leat_buf out;     /* JSON, or a response's body */
    leat_buf message; /* verdict.message; a response's content type */
    leat_buf lines;   /* a response's further header lines */
    int status;       /* of a response */
};

void leat_task_init_lists(leat_lua *lua);
void leat_task_free_spare(leat_lua *lua);

/* A task that holds lua. call may be NULL; else call->task_ is set. */
leat_task *leat_task_new(leat_lua *lua, const leat_task_kind *kind, leat_call *call,
                         uint64_t deadline_ms);

/* Begins at the end of this turn. */
void leat_task_start(leat_task *t);

/* Ends it wherever it is; no answer. */
void leat_task_cancel(leat_task *t);

/* The task whose coroutine, or one within it, is running. Raises outside of handlers. [-0, +0, e]
 */
leat_task *leat_task_running(lua_State *L, leat_lua *lua);

/* Waits: `return leat_task_wait(L, t, kind, k)`. [-0, +0, e] yields */
int leat_task_wait(lua_State *L, leat_task *t, const leat_task_wait_kind *kind, lua_KFunction k);

/* In the continuation k: the task, t->err its outcome. Raises if k runs for another reason than
 * the end of its wait. */
leat_task *leat_task_waited(lua_State *L, leat_lua *lua, lua_KContext ticket);

/* The wait is over; err 0 or negative. Resumes the handler from inside. Last act of a callback. */
void leat_task_wake(leat_task *t, int err);
/* Likewise, on the next turn. */
void leat_task_wake_soon(leat_task *t, int err);

/* Sets the verdict to code with that message (copied). */
void leat_task_refusal(leat_task *t, leat_code code, leat_slice message, uint32_t retry_after_ms);

/* The answer of the kinds that the core asks for: t->verdict, to t->call->cb. */
void leat_task_answer_call(leat_task *t);

leat_slice leat_task_name(const leat_task *t);

#endif
