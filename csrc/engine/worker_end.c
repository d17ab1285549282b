/* worker_end.c - a worker stops. First it settles: the listeners close, and those who were accepted
 * last get the answer to their first request, as if nothing had happened. Then it drains: clients
 * get their close messages, requests under way are answered. When all of that is over
 * (worker_check_drained), the worker is taken down in reverse order: worker_take_down, stop_core,
 * retire_scripts, close_keys, close_pool, close_mailbox. Each of these starts the next one when it
 * is done, and the last one calls worker_on_ended. A set-up that fails takes the same way and
 * leaves out what was never made.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "engine/worker_inside.h"
#include "http/http_server.h"
#include "script/route/raw.h"
#include "wire/frame.h"

/* How often it looks whether it has settled, and whether raw connections are gone: no callback
 * tells either. */
#define LOOK_MS 20
/* The most that settling takes; drain_ms, if that is less. */
#define SETTLE_MS 1000

static void drain(leat_worker *w);
static void stop_core(leat_worker *w);
static void retire_scripts(void *arg);
static void close_keys(leat_worker *w);
static void close_pool(void *arg);
static void close_mailbox(void *arg);

/* --- settling --- */

static void close_listener(leat_listener **listener)
{
    if (*listener != NULL)
        leat_listener_close(*listener, NULL, NULL);
    *listener = NULL;
}

static void settle(leat_worker *w);

static void on_settle_look(leat_deadline *d)
{
    settle(LEAT_CONTAINER_OF(d, leat_worker, look));
}

static void settle(leat_worker *w)
{
    bool all_answered = w->http.n_awaited + w->http.n_arrivals == 0;
    if (all_answered || leat_loop_now(w->loop) >= w->settle_until_ms)
        drain(w);
    else
        leat_loop_after(w->loop, &w->look, LOOK_MS, on_settle_look);
}

/* Draining again ends it at once. Without clients it has ended already. */
static void end_drain(leat_worker *w)
{
    if (w->state == WORKER_DRAINING)
        drain(w);
}

void worker_stop(leat_worker *w)
{
    uint64_t drain_ms = w->limits.drain_ms;
    switch (w->state) {
    case WORKER_SERVING:
        w->state = WORKER_SETTLING;
        close_listener(&w->listener);
        close_listener(&w->tls_listener);
        w->settle_until_ms = leat_loop_now(w->loop) + (drain_ms < SETTLE_MS ? drain_ms : SETTLE_MS);
        settle(w);
        return;
    case WORKER_SETTLING:
        drain(w);
        end_drain(w);
        return;
    case WORKER_DRAINING:
        end_drain(w);
        return;
    case WORKER_DRAINED:
    case WORKER_GOING_DOWN:
    case WORKER_RETIRING:
        return;
    }
}

/* --- draining --- */

static void on_core_drained(void *arg)
{
    leat_worker *w = arg;
    w->state = WORKER_DRAINED;
    worker_check_drained(w);
}

/* Returns how many raw connections there are; closes them first if told to. */
static size_t count_raw(leat_worker *w, bool close_all)
{
    size_t count = 0;
    for (leat_list *link = w->scripts.next; link != &w->scripts; link = link->next) {
        leat_lua *lua = LEAT_CONTAINER_OF(link, struct worker_load, link)->lua;
        if (close_all)
            leat_lua_raw_close_all(lua, LEAT_CLOSE_GOING_AWAY, "the server is stopping");
        count += leat_lua_raw_count(lua);
    }
    return count;
}

static void drain(leat_worker *w)
{
    w->state = WORKER_DRAINING;
    w->http.draining = true;
    leat_deadline_cancel(&w->look);
    count_raw(w, true);
    if (w->options.host->worker_drains != NULL)
        w->options.host->worker_drains(w->options.host->arg, w);
    leat_core_drain(&w->core, on_core_drained, w);
}

static void on_raw_look(leat_deadline *d)
{
    worker_check_drained(LEAT_CONTAINER_OF(d, leat_worker, look));
}

/* Called whenever a connection or a request has ended. */
void worker_check_drained(void *arg)
{
    leat_worker *w = arg;
    if (w->state == WORKER_GOING_DOWN) {
        if (w->http.n_conns == 0)
            stop_core(w);
        return;
    }
    if (w->state != WORKER_DRAINED || w->http.n_busy > 0)
        return;
    if (count_raw(w, false) > 0) {
        leat_loop_after(w->loop, &w->look, LOOK_MS, on_raw_look);
        return;
    }
    worker_take_down(w);
}

/* --- the way down --- */

/* The listener of the metrics stays open until here, so that metrics can be read during a drain. */
void worker_take_down(leat_worker *w)
{
    w->state = WORKER_GOING_DOWN;
    close_listener(&w->metrics_listener);
    close_listener(&w->tls_listener); /* open only if the set-up has failed after it */
    w->http.draining = true;          /* then on_quiet is called when the last connection is gone */
    leat_deadline_cancel(&w->look);
    leat_http_server_close(&w->http);
    if (w->http.n_conns == 0)
        stop_core(w);
}

static void stop_core(leat_worker *w)
{
    w->http.on_quiet = NULL;
    if (w->core_started)
        leat_core_stop(&w->core, retire_scripts, w);
    else
        retire_scripts(w);
}

void worker_on_retired(void *arg)
{
    struct worker_load *l = arg;
    leat_worker *w = l->worker;
    leat_list_unlink(&l->link);
    free(l);
    if (w->state == WORKER_RETIRING && leat_list_empty(&w->scripts))
        close_keys(w);
}

static void retire_scripts(void *arg)
{
    leat_worker *w = arg;
    leat_lua *current = w->lua;
    w->lua = NULL;
    w->state = WORKER_RETIRING;
    if (current != NULL)
        leat_lua_retire(current, worker_on_retired,
                        LEAT_CONTAINER_OF(w->scripts.prev, struct worker_load, link));
    else if (leat_list_empty(&w->scripts))
        close_keys(w);
}

static void close_keys(leat_worker *w)
{
    leat_key_store *keys = w->core.keys;
    w->core.keys = NULL;
    if (keys != NULL)
        leat_key_store_close(keys, close_pool, w);
    else
        close_pool(w);
}

static void close_pool(void *arg)
{
    leat_worker *w = arg;
    if (w->pool != NULL)
        leat_pg_pool_close(w->pool, close_mailbox, w);
    else
        close_mailbox(w);
}

static void close_mailbox(void *arg)
{
    leat_worker *w = arg;
    if (w->mailbox != NULL)
        leat_mailbox_close(w->mailbox, worker_on_ended, w);
    else
        worker_on_ended(w);
}
