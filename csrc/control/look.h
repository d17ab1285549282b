/* look.h - one question, asked of every worker in its own thread, and their answers.
 *
 * Ownership  a look belongs to who begins it, until `done`; a part to its look, or to nobody once
 *            its worker was too late: it frees itself then.
 * Threads    leat_look_*: the loop of the control socket. A question's `work` runs in the worker's.
 * Units      milliseconds.
 * Errors     a worker that has not answered in time has no part in the answer (`answered` false).
 *
 * A worker that answers nothing does not gather questions: after MAX_LATE of them it is asked no
 * more until it has come back.
 */
#ifndef LEAT_CONTROL_LOOK_H
#define LEAT_CONTROL_LOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "core/view_clients.h"
#include "core/view_topics.h"
#include "engine/engine.h"
#include "loop/loop.h"
#include "loop/mailbox.h"
#include "pg/pg_job.h"

typedef struct leat_look leat_look;
typedef struct leat_part leat_part;
typedef struct leat_lookout leat_lookout;

/* Returned by a question's work. */
typedef enum leat_work {
    LEAT_WORK_DONE,
    LEAT_WORK_MORE,  /* it goes on in a later turn of the worker */
    LEAT_WORK_WAITS, /* leat_part_finish is called later */
} leat_work;

typedef struct leat_question {
    leat_work (*work)(leat_part *part, leat_worker *w);
    uint64_t timeout_ms;
} leat_question;

/* What is asked for. Texts are owned by whoever has the struct. */
typedef struct leat_asked {
    char *name; /* of a topic; or a user; NULL: none */
    char *data; /* JSON, or a part of a position; NULL: none */
    uint64_t number;
    int order;
    size_t limit;
} leat_asked;

typedef enum leat_part_failure {
    LEAT_PART_NOT_DONE = 0,
    LEAT_PART_IN_DOUBT, /* nobody knows whether the database has done it */
    LEAT_PART_REFUSED,  /* the database does not take the data */
} leat_part_failure;

/* One worker's. */
struct leat_part {
    leat_worker_job job_;
    leat_mail mail_;
    leat_lookout *home_;
    leat_look *look_; /* NULL: too late. The control thread's */
    leat_worker *worker_;
    const leat_question *question;
    size_t worker;
    leat_asked asked;
    uint64_t took_us; /* from the question to the answer; in between it is when it was asked */
    bool answered;    /* this and took_us are the control thread's */

    /* The answer. Each question uses what it needs. */
    bool found;
    leat_part_failure failed_as; /* what was to be done, if it was not found done */
    leat_topic_rows topics;
    leat_topic_walk topic_walk;
    leat_client_rows clients;
    leat_client_walk client_walk;
    leat_buf json;
    leat_buf failure;  /* why the question could not be answered, text; empty: it could */
    leat_buf problems; /* what is wrong with the worker, a line each; empty: nothing */
    leat_pg_job query;
    void *own; /* the question's; the part's end frees it with free() */
};

struct leat_look {
    leat_lookout *home_;
    leat_deadline deadline_;
    size_t n_waiting_;
    size_t n_parts;
    leat_part **parts; /* by worker; NULL: the worker was not asked */
    /* Every worker has answered, or the time is over. The look may be ended or begun anew. */
    void (*done)(leat_look *look);
};

/* What all looks share. */
leat_lookout *leat_lookout_new(leat_engine *engine, leat_loop *loop);
LEAT_MUST_CHECK int leat_lookout_open(leat_lookout *o);
/* No look may be under way. done runs when the mailbox is closed. */
void leat_lookout_close(leat_lookout *o, void (*done)(void *arg), void *arg);
void leat_lookout_free(leat_lookout *o);

/* Asks every worker, or only that one (only < n). A look that is begun again drops its parts. */
enum { LEAT_LOOK_ALL = -1 };
void leat_look_begin(leat_look *look, leat_lookout *o, const leat_question *question,
                     const leat_asked *asked, int only);
/* Ends it; `done` is not called any more. Harmless if it was never begun. */
void leat_look_end(leat_look *look);

/* In the worker's thread, after LEAT_WORK_WAITS. */
void leat_part_finish(leat_part *part);

#endif
