/* embed_post.c - jobs for the workers. A job that gives something back may come when its worker
 * takes no more, while the worker still runs what was posted before: so it waits (`late`) until the
 * worker has ended. */
#include <stdlib.h>

#include "base/mem.h"
#include "embed/embed.h"

struct late {
    leat_list link; /* in server->late */
    leat_worker_job *job;
    size_t worker;
};

static int refuse_post(const leat_server *s, leat_error *error)
{
    bool later = s->phase == EMBED_STARTING;
    return embed_fail(error, later ? "unavailable" : "stopped", "%s",
                      later ? "the server has not started yet" : "the server does not run");
}

static bool post(leat_server *s, size_t number, size_t *worker, leat_worker_job *job)
{
    if (s->phase != EMBED_SERVING)
        return false;
    *worker = number % s->config.workers;
    return leat_worker_do(s->workers[*worker].worker, job);
}

int embed_post(leat_server *s, size_t number, size_t *worker, leat_worker_job *job,
               leat_error *error)
{
    pthread_mutex_lock(&s->lock);
    int err = post(s, number, worker, job) ? 0 : refuse_post(s, error);
    pthread_mutex_unlock(&s->lock);
    return err;
}

static void keep_late(leat_server *s, size_t worker, leat_worker_job *job)
{
    struct late *l = leat_calloc(1, sizeof(*l));
    l->job = job;
    l->worker = worker;
    leat_list_push(&s->late, &l->link);
}

bool embed_give_back(leat_server *s, size_t worker, leat_worker_job *job)
{
    pthread_mutex_lock(&s->lock);
    bool runs = s->engine != NULL;
    if (runs && !leat_worker_do(s->workers[worker].worker, job))
        keep_late(s, worker, job);
    pthread_mutex_unlock(&s->lock);
    return runs;
}

/* Returns false if there were none: then no more come. */
static bool run_late(leat_server *s)
{
    leat_list all;
    pthread_mutex_lock(&s->lock);
    leat_list_move(&all, &s->late);
    bool any = !leat_list_empty(&all);
    if (!any)
        s->engine = NULL;
    pthread_mutex_unlock(&s->lock);
    for (leat_list *l = leat_list_shift(&all); l != NULL; l = leat_list_shift(&all)) {
        struct late *late = LEAT_CONTAINER_OF(l, struct late, link);
        late->job->run(late->job, s->workers[late->worker].worker);
        free(late);
    }
    return any;
}

void embed_post_end(leat_server *s)
{
    while (run_late(s))
        continue;
}

size_t embed_next_number(leat_server *s)
{
    return atomic_fetch_add(&s->next_worker, 1);
}

embed_worker *embed_worker_on(leat_server *s, leat_worker *w)
{
    return &s->workers[leat_worker_index(w)];
}
