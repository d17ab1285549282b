/* worker_thread.c - a worker's life: leat_worker_start starts its thread, which has everything made
 * first (`begin`, worker_setup.c). Jobs and commands come as mail. LEAT_WORKER_STOP shuts the
 * worker's doors and drains it, and then it is taken down (worker_end.c). worker_on_ended is the
 * last that happens.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "engine/worker_inside.h"

enum { STATEMENTS = 500 /* that are counted one by one */ };

struct command {
    leat_worker_job job;
    leat_worker_command command;
};

static void begin(void *arg);
static void run_command(leat_worker_job *job, leat_worker *w);

leat_worker *leat_worker_new(const leat_worker_options *options)
{
    leat_worker *w = leat_calloc(1, sizeof(*w));
    w->options = *options;
    w->limits = options->config->limits;
    snprintf(w->name, sizeof(w->name), "leat worker %zu", options->index);
    w->pool_options = options->pool;
    w->pool_options.pg.application_name = w->name;
    w->pool_options.pg.statements = &w->statements;
    leat_tally_init(&w->statements, STATEMENTS);
    w->metrics = leat_metrics_new(options->registry);
    leat_list_init(&w->scripts);
    leat_deadline_init(&w->look);
    return w;
}

int leat_worker_start(leat_worker *w, leat_loop_thread *thread, bool reuse_port, leat_buf *error)
{
    w->reuse_port = reuse_port;
    w->loop = leat_loop_thread_loop(thread);
    int err = uv_sem_init(&w->started, 0);
    if (err < 0)
        return err;
    char name[24];
    snprintf(name, sizeof(name), "leat-w%u", (unsigned)w->options.index);
    err = leat_loop_thread_start(thread, name, w->options.log, begin, w);
    if (err == 0) {
        uv_sem_wait(&w->started);
        err = w->start_err;
    }
    uv_sem_destroy(&w->started);
    leat_buf_slice(error, leat_buf_view(&w->start_error));
    return err;
}

const char *leat_worker_address(const leat_worker *w)
{
    return w->address;
}

const char *leat_worker_tls_address(const leat_worker *w)
{
    return w->tls_address;
}

const char *leat_worker_metrics_address(const leat_worker *w)
{
    return w->metrics_address;
}

void leat_worker_free(leat_worker *w)
{
    leat_mailbox_free(w->mailbox);
    leat_tls_side_free(w->tls);
    leat_deflate_free(w->core.net.deflate);
    leat_http_gzip_free(w->http.gzip);
    leat_accept_free(w->http.accept);
    leat_buf_close(&w->http.reload_failure);
    leat_buf_close(&w->start_error);
    leat_tally_close(&w->statements);
    free(w);
}

void leat_worker_post(leat_worker *w, leat_worker_command command)
{
    struct command *c = leat_calloc(1, sizeof(*c));
    c->job.run = run_command;
    c->command = command;
    if (!leat_worker_do(w, &c->job))
        free(c); /* the worker is going down already */
}

bool leat_worker_do(leat_worker *w, leat_worker_job *job)
{
    return leat_mailbox_post(w->mailbox, &job->mail_);
}

const leat_tally *leat_worker_statements(const leat_worker *w)
{
    return &w->statements;
}

size_t leat_worker_index(const leat_worker *w)
{
    return w->options.index;
}

bool leat_worker_serves(const leat_worker *w)
{
    return w->state < WORKER_DRAINING;
}

bool leat_worker_is_up(const leat_worker *w)
{
    return w->state < WORKER_GOING_DOWN;
}

leat_core *leat_worker_core(leat_worker *w)
{
    return &w->core;
}

leat_http_side *leat_worker_http(leat_worker *w)
{
    return &w->http;
}

unsigned leat_worker_beats(const leat_worker *w)
{
    return atomic_load_explicit(&w->beats, memory_order_relaxed);
}

static const char *error_text(int err)
{
    const char *name = leat_err_name(err);
    return name != NULL ? name : uv_strerror(err);
}

static void begin(void *arg)
{
    leat_worker *w = arg;
    w->start_err = worker_set_up(w);
    if (w->start_err == 0) {
        uv_sem_post(&w->started);
        return;
    }
    if (w->start_error.len == 0)
        leat_buf_printf(&w->start_error, "a worker cannot start: %s", error_text(w->start_err));
    worker_take_down(w);
}

void worker_on_ended(void *arg)
{
    leat_worker *w = arg;
    if (w->start_err < 0)
        uv_sem_post(&w->started);
    else
        LEAT_ASSERT(leat_mailbox_post(w->options.home, &w->over)); /* the server waits for it */
}

void worker_on_mail(void *arg, leat_mail *mail)
{
    leat_worker_job *job = LEAT_CONTAINER_OF(mail, leat_worker_job, mail_);
    job->run(job, arg);
}

static void run_command(leat_worker_job *job, leat_worker *w)
{
    struct command *c = LEAT_CONTAINER_OF(job, struct command, job);
    leat_worker_command command = c->command;
    free(c);
    bool stops_still = w->state <= WORKER_DRAINING && command == LEAT_WORKER_STOP;
    if (w->state != WORKER_SERVING && !stops_still)
        return;
    switch (command) {
    case LEAT_WORKER_BEAT:
        atomic_fetch_add_explicit(&w->beats, 1, memory_order_relaxed);
        break;
    case LEAT_WORKER_STOP:
        worker_stop(w);
        break;
    }
}
