/* look.c - a part goes to its worker as a job (on_worker), again and again if the work has several
 * steps, and comes back as a mail (on_mail). */
#include "control/look.h"

#include <stdlib.h>

#include "base/mem.h"

enum { MAX_LATE = 16 };

struct leat_lookout {
    leat_engine *engine;
    leat_loop *loop;
    leat_mailbox *mailbox;
    size_t n_late[64]; /* parts of each worker that are under way; as many as `workers` allows */
};

static void on_mail(void *arg, leat_mail *mail);
static void on_worker(leat_worker_job *job, leat_worker *w);
static void on_deadline(leat_deadline *d);

leat_lookout *leat_lookout_new(leat_engine *engine, leat_loop *loop)
{
    leat_lookout *o = leat_calloc(1, sizeof(*o));
    o->engine = engine;
    o->loop = loop;
    return o;
}

int leat_lookout_open(leat_lookout *o)
{
    return leat_mailbox_new(&o->mailbox, leat_loop_uv(o->loop), on_mail, o);
}

void leat_lookout_close(leat_lookout *o, void (*done)(void *arg), void *arg)
{
    leat_mailbox_close(o->mailbox, done, arg);
}

void leat_lookout_free(leat_lookout *o)
{
    if (o != NULL)
        leat_mailbox_free(o->mailbox);
    free(o);
}

/* --- parts --- */

static char *copy(const char *text)
{
    return text == NULL ? NULL : leat_strdup(text);
}

static leat_part *new_part(leat_look *look, const leat_question *question, const leat_asked *asked,
                           size_t worker)
{
    leat_part *p = leat_calloc(1, sizeof(*p));
    p->job_.run = on_worker;
    p->home_ = look->home_;
    p->look_ = look;
    p->worker_ = leat_engine_worker(look->home_->engine, worker);
    p->question = question;
    p->worker = worker;
    p->took_us = uv_hrtime() / 1000;
    p->asked = *asked;
    p->asked.name = copy(asked->name);
    p->asked.data = copy(asked->data);
    leat_topic_rows_init(&p->topics, (leat_topic_order)asked->order, asked->limit);
    leat_client_rows_init(&p->clients, (leat_client_order)asked->order, asked->limit);
    p->topic_walk.rows = &p->topics;
    p->client_walk =
        (leat_client_walk){.rows = &p->clients, .user = p->asked.name, .worker = worker};
    leat_pg_job_init(&p->query);
    return p;
}

static void free_part(leat_part *p)
{
    leat_topic_rows_close(&p->topics);
    leat_client_rows_close(&p->clients);
    leat_buf_close(&p->json);
    leat_buf_close(&p->failure);
    leat_buf_close(&p->problems);
    free(p->asked.name);
    free(p->asked.data);
    free(p->own);
    free(p);
}

void leat_part_finish(leat_part *part)
{
    /* The mailbox closes after all workers have ended. */
    LEAT_ASSERT(leat_mailbox_post(part->home_->mailbox, &part->mail_));
}

static void on_worker(leat_worker_job *job, leat_worker *w)
{
    leat_part *p = LEAT_CONTAINER_OF(job, leat_part, job_);
    leat_work work = leat_worker_is_up(w) ? p->question->work(p, w) : LEAT_WORK_DONE;
    if (work == LEAT_WORK_MORE && !leat_worker_do(w, &p->job_))
        work = LEAT_WORK_DONE;
    if (work == LEAT_WORK_DONE)
        leat_part_finish(p);
}

/* --- looks --- */

static void post(leat_look *look, const leat_question *question, const leat_asked *asked, size_t i)
{
    leat_lookout *o = look->home_;
    if (o->n_late[i] >= MAX_LATE)
        return;
    leat_part *p = new_part(look, question, asked, i);
    if (!leat_worker_do(p->worker_, &p->job_)) {
        free_part(p);
        return;
    }
    o->n_late[i]++;
    look->n_waiting_++;
    look->parts[i] = p;
}

void leat_look_begin(leat_look *look, leat_lookout *o, const leat_question *question,
                     const leat_asked *asked, int only)
{
    leat_look_end(look);
    look->home_ = o;
    look->n_parts = leat_engine_n_workers(o->engine);
    look->parts = leat_calloc(look->n_parts, sizeof(leat_part *));
    leat_deadline_init(&look->deadline_);
    for (size_t i = 0; i < look->n_parts; i++)
        if (only == LEAT_LOOK_ALL || (size_t)only == i)
            post(look, question, asked, i);
    leat_loop_after(o->loop, &look->deadline_, look->n_waiting_ > 0 ? question->timeout_ms : 0,
                    on_deadline);
}

static void drop_part(leat_part *p)
{
    if (p == NULL)
        return;
    p->look_ = NULL;
    if (p->answered)
        free_part(p);
}

void leat_look_end(leat_look *look)
{
    if (look->home_ == NULL)
        return;
    leat_deadline_cancel(&look->deadline_);
    for (size_t i = 0; i < look->n_parts; i++)
        drop_part(look->parts[i]);
    free(look->parts);
    look->parts = NULL;
    look->n_parts = look->n_waiting_ = 0;
    look->home_ = NULL;
}

static void on_deadline(leat_deadline *d)
{
    leat_look *look = LEAT_CONTAINER_OF(d, leat_look, deadline_);
    look->done(look);
}

static void on_mail(void *arg, leat_mail *mail)
{
    leat_lookout *o = arg;
    leat_part *p = LEAT_CONTAINER_OF(mail, leat_part, mail_);
    leat_look *look = p->look_;
    p->answered = true;
    p->took_us = uv_hrtime() / 1000 - p->took_us;
    o->n_late[p->worker]--;
    if (look == NULL) {
        free_part(p);
        return;
    }
    if (--look->n_waiting_ > 0)
        return;
    leat_deadline_cancel(&look->deadline_);
    look->done(look);
}
