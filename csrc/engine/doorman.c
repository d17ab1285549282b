/* doorman.c - on_accept chooses a worker and posts it the connection; on_worker takes it there. If
 * no worker has room after that, all doors rest for a moment. leat_doorman_close shuts the doors
 * one by one, and then the loop's handles.
 */
#include "engine/doorman.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/container_of.h"
#include "base/mem.h"
#include "http/http_server.h"
#include "net/listener.h"

/* Connections that a worker may not yet have taken. */
enum { MAX_WAITING = 256 };

typedef struct door {
    leat_doorman *doorman;
    leat_listener *listener;
    leat_http_door kind;
} door;

typedef struct place {
    leat_worker *worker;
    atomic_size_t n_waiting;
} place;

struct leat_doorman {
    leat_loop *loop;
    door doors[LEAT_ENGINE_MAX_SOCKETS];
    size_t n_open;
    size_t n_places;
    size_t turn; /* the place that was chosen last */
    place places[];
};

/* A connection on its way to a worker. */
typedef struct newcomer {
    leat_worker_job job;
    place *place;
    leat_http_door door;
    int socket;
    struct sockaddr_storage peer;
} newcomer;

static void on_accept(void *arg, uv_os_sock_t socket, const struct sockaddr_storage *peer);

int leat_doorman_open(leat_doorman **out, uv_loop_t *uv, const leat_engine_sockets *sockets,
                      leat_worker **workers, size_t n_workers)
{
    leat_doorman *d = leat_calloc(1, sizeof(*d) + n_workers * sizeof(d->places[0]));
    d->n_places = n_workers;
    for (size_t i = 0; i < n_workers; i++)
        d->places[i].worker = workers[i];
    int err = leat_loop_new(&d->loop, uv);
    if (err < 0) {
        free(d);
        return err;
    }
    *out = d;
    for (size_t i = 0; i < sockets->count && err == 0; i++) {
        door *at = &d->doors[i];
        *at = (door){.doorman = d, .kind = sockets->at[i].door};
        err = leat_listener_adopt(&at->listener, d->loop, sockets->at[i].fd, on_accept, at);
        d->n_open += err == 0;
    }
    return err;
}

static size_t waiting_at(const place *p)
{
    return atomic_load_explicit(&p->n_waiting, memory_order_relaxed);
}

/* Returns the place where the fewest wait, in turn. */
static place *choose(leat_doorman *d)
{
    size_t best = (d->turn + 1) % d->n_places;
    for (size_t i = 2; i <= d->n_places; i++) {
        size_t other = (d->turn + i) % d->n_places;
        if (waiting_at(&d->places[other]) < waiting_at(&d->places[best]))
            best = other;
    }
    d->turn = best;
    return &d->places[best];
}

static bool has_room(const leat_doorman *d)
{
    for (size_t i = 0; i < d->n_places; i++)
        if (waiting_at(&d->places[i]) < MAX_WAITING)
            return true;
    return false;
}

static void on_worker(leat_worker_job *job, leat_worker *w)
{
    newcomer *n = LEAT_CONTAINER_OF(job, newcomer, job);
    atomic_fetch_sub_explicit(&n->place->n_waiting, 1, memory_order_relaxed);
    if (leat_worker_is_up(w))
        leat_http_server_accept(leat_worker_http(w), n->socket, &n->peer, n->door);
    else
        close(n->socket);
    free(n);
}

static void on_accept(void *arg, uv_os_sock_t socket, const struct sockaddr_storage *peer)
{
    const door *at = arg;
    leat_doorman *d = at->doorman;
    newcomer *n = leat_calloc(1, sizeof(*n));
    *n = (newcomer){.job.run = on_worker,
                    .place = choose(d),
                    .door = at->kind,
                    .socket = socket,
                    .peer = *peer};
    place *p = n->place;
    atomic_fetch_add_explicit(&p->n_waiting, 1, memory_order_relaxed);
    if (!leat_worker_do(p->worker, &n->job)) { /* it goes down: the server is being forced to end */
        atomic_fetch_sub_explicit(&p->n_waiting, 1, memory_order_relaxed);
        close(socket);
        free(n);
    }
    if (!has_room(d))
        for (size_t i = 0; i < d->n_open; i++)
            leat_listener_rest(d->doors[i].listener);
}

static void on_door_shut(void *arg)
{
    leat_doorman *d = arg;
    d->n_open--;
    if (d->n_open == 0)
        leat_loop_close(d->loop, NULL, NULL);
}

void leat_doorman_close(leat_doorman *d)
{
    size_t n = d->n_open;
    for (size_t i = 0; i < n; i++)
        leat_listener_close(d->doors[i].listener, on_door_shut, d);
    if (n == 0)
        leat_loop_close(d->loop, NULL, NULL);
}

void leat_doorman_free(leat_doorman *d)
{
    free(d);
}
