/* task.h - one run of a handler: a coroutine, what it works on, what it waits for, its answer.
 *
 * Ownership  a task belongs to its leat_lua, which keeps ended tasks for the next ones. The asker
 *            fills a task in between leat_task_new and leat_task_start. From then on the task ends
 *            by itself: by its answer, or by leat_task_cancel.
 * Threads    loop thread of the worker.
 * Units      absolute milliseconds on the loop clock; nanoseconds (_ns), of uv_hrtime.
 * Errors     every failure becomes a verdict.
 *
 * leat_task_state names every situation of a task; set_state (task.c) is the only function that
 * changes it. What the kinds of handlers differ in is a table (leat_task_kind) and a payload
 * (work.h).
 */
#ifndef LEAT_SCRIPT_TASK_TASK_H
#define LEAT_SCRIPT_TASK_TASK_H

#include <stdbool.h>
#include <stdint.h>

#include <lua.h>

#include "base/buf.h"
#include "base/list.h"
#include "core/script.h"
#include "fetch/key_source.h"
#include "loop/deadline.h"
#include "script/task/db.h"
#include "script/task/session.h"
#include "script/task/vm.h"
#include "script/task/work.h"

typedef struct leat_task leat_task;

typedef enum leat_task_state {
    LEAT_TASK_FREE,              /* is kept for the next asker */
    LEAT_TASK_FILLING,           /* the asker fills it in */
    LEAT_TASK_RUNNABLE,          /* the handler begins at the end of this turn */
    LEAT_TASK_DECIDED,           /* the verdict stands; it is handed over at the end of this turn */
    LEAT_TASK_RUNNING,           /* the coroutine is on the C stack */
    LEAT_TASK_ABANDONED,         /* likewise, but nobody wants the answer: it ends on return */
    LEAT_TASK_WAITING_DATABASE,  /* the handler waits for a connection or a statement */
    LEAT_TASK_WAITING_SUBSCRIBE, /* the handler waits for what leat.subscribe asked the core */
    LEAT_TASK_WAITING_KEYS,      /* the handler waits for the keys of a URL */
    LEAT_TASK_WAITING_SIGNATURE, /* the handler waits for the check of a signature */
    LEAT_TASK_RESUMING,          /* the wait is over; the handler goes on in the next turn */
    LEAT_TASK_ENDED,             /* nothing is under way; the verdict is handed over */
    LEAT_TASK_STATES
} leat_task_state;

/* What the kinds of handler differ in. push and finish run on the coroutine of the task and may
 * raise. */
typedef struct leat_task_kind {
    const char *name;  /* for log lines: handler=NAME */
    const char *label; /* for log lines: the key under which the name of the task is, "topic" */
    leat_pg_kind bill; /* what the pool takes its statements for */
    bool authorizes;   /* it is a subscribe handler: leat.subscribe_authorized may be called */
    /* Pushes the handler and its arguments. Returns the number of arguments. */
    int (*push)(lua_State *L, leat_task *t);
    /* The one result of the handler is on top: makes t->verdict and t->out of it. */
    void (*finish)(lua_State *L, leat_task *t);
    /* Hands the verdict over, as its last act. t->call is NULL if nobody wants it. */
    void (*answer)(leat_task *t);
    /* Gives back what t->work and t->verdict still own. NULL: they own nothing. */
    void (*release)(leat_task *t);
    bool plans; /* it is a connect handler: what leat.subscribe asks for begins later */
} leat_task_kind;

/* Something to wait for. It starts once the yield of the handler has arrived in task.c. */
typedef struct leat_task_wait_kind {
    leat_task_state state; /* one of LEAT_TASK_WAITING_* */
    /* Returns 0 if leat_task_wake will follow (not from inside), or else the error to wake with. */
    int (*start)(leat_task *t);
    /* Makes sure that leat_task_wake does not follow after all. NULL: the end of the leat_db does.
     */
    void (*stop)(leat_task *t);
} leat_task_wait_kind;

/* What the asker hands over is copied into one buffer, part by part. */
typedef enum leat_task_part {
    LEAT_TASK_NAME, /* topic, method or path */
    LEAT_TASK_JSON, /* params or data */
    LEAT_TASK_HEAD, /* of the request, packed; absent: that of the session counts */
    LEAT_TASK_BODY, /* of the request */
    LEAT_TASK_PARTS
} leat_task_part;

typedef struct leat_task_input {
    leat_buf bytes;
    struct {
        size_t at;
        size_t len;
    } parts[LEAT_TASK_PARTS]; /* len is SIZE_MAX for an absent part */
} leat_task_input;

/* What leat.subscribe asked the core. */
typedef struct leat_task_question {
    size_t topic_len; /* topic, epoch and params stand one after another in t->extra */
    size_t epoch_len;
    int64_t seq;
    uint64_t deadline_ms;
    leat_code code; /* the outcome; its message is in t->extra then */
} leat_task_question;

struct leat_task {
    leat_list link; /* in the list of its state (vm.h): spare, ready, or none */
    leat_lua *lua;
    uint64_t id; /* of this run, never used again: what a script keeps of an ended run names it */
    leat_task_state state;
    const leat_task_kind *kind;
    leat_call *call;       /* of the asker; NULL: nobody wants the answer */
    leat_session *session; /* held; NULL: none */
    leat_slice request_id; /* of the request that it runs for; at == NULL: none */
    leat_labelled *times;  /* the counters of its handler; NULL: none are kept */
    uint64_t deadline_ms;
    uint64_t runnable_ns;   /* since when it is, or was, RUNNABLE; 0: it never was */
    uint64_t queued_ns;     /* how long it was RUNNABLE */
    leat_deadline deadline; /* armed from the first wait on */

    lua_State *co; /* NULL until a handler has run in this task */
    int co_ref;
    bool co_midway; /* the coroutine has begun a handler and not come to its end */

    leat_work work; /* what this kind of handler works on */
    leat_task_input input;
    leat_db db;

    struct {
        const leat_task_wait_kind *kind; /* NULL: the handler waits for nothing */
        uint64_t ticket;                 /* numbers the waits of a task */
        uint64_t over; /* ticket of the wait that is over, until its continuation has run */
        int err;       /* what it ended with */
        leat_task_question question;
        leat_key_source *keys; /* borrowed from the stack of the coroutine */
        leat_key_waiter key_waiter;
        struct leat_verification *verification; /* likewise */
    } wait;

    leat_verdict verdict;
    leat_buf out;     /* JSON, or the body of a response */
    leat_buf message; /* the verdict's message, or the content type of a response */
    leat_buf extra;   /* header lines of a response; the texts of a question */
};

void leat_task_init_lists(leat_lua *lua);
void leat_task_free_spare(leat_lua *lua);

/* Returns a task that holds lua, in FILLING. call may be NULL; otherwise call->task_ is set. */
leat_task *leat_task_new(leat_lua *lua, const leat_task_kind *kind, leat_call *call,
                         leat_session *session, uint64_t deadline_ms);

/* Copies a part of the input. slice.at == NULL: the part stays absent. */
void leat_task_give(leat_task *t, leat_task_part part, leat_slice slice);
/* The part is what has been appended to t->input.bytes since it was from bytes long. */
void leat_task_give_appended(leat_task *t, leat_task_part part, size_t from);
/* at == NULL: the part is absent. */
leat_slice leat_task_given(const leat_task *t, leat_task_part part);

/* The packed head of the request that the task is about; at == NULL: there is none. */
leat_slice leat_task_head(const leat_task *t);

/* Runs the handler from the end of this turn on. */
void leat_task_start(leat_task *t);

/* Hands t->verdict over at the end of this turn. No handler runs. */
void leat_task_decide(leat_task *t);

/* Ends it, whatever its state; there is no answer. */
void leat_task_cancel(leat_task *t);

/* The task whose coroutine, or one within it, is running. Raises outside of handlers. [-0, +0, e]
 */
leat_task *leat_task_running(lua_State *L, leat_lua *lua);

/* Waits: `return leat_task_wait(L, t, kind, k)`. [-0, +0, e] yields */
int leat_task_wait(lua_State *L, leat_task *t, const leat_task_wait_kind *kind, lua_KFunction k);

/* For the continuation k: returns the task, whose t->wait.err is the outcome. Raises if k runs for
 * any other reason than the end of its wait. [-0, +0, e] */
leat_task *leat_task_waited(lua_State *L, leat_lua *lua, lua_KContext ticket);

/* The wait is over; err is 0 or negative. Resumes the handler from inside: the last act of a
 * callback. */
void leat_task_wake(leat_task *t, int err);
/* Likewise, but the handler goes on in the next turn. */
void leat_task_wake_soon(leat_task *t, int err);

/* Sets the verdict to code with that message (copied). */
void leat_task_refusal(leat_task *t, leat_code code, leat_slice message, uint32_t retry_after_ms);

/* The answer of the kinds that the core asks for: hands t->verdict to t->call->cb. */
void leat_task_answer_call(leat_task *t);

static inline leat_slice leat_task_name(const leat_task *t)
{
    return leat_task_given(t, LEAT_TASK_NAME);
}

#endif
