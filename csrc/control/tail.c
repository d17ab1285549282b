/* tail.c - leat_tail_begin takes the socket from the control's loop (take_socket) and posts it
 * to a worker (hand_over). There it becomes a client with one subscription (on_worker, follow). */
#include "control/tail.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/random.h"
#include "core/client.h"
#include "http/http_answer.h"
#include "http/http_stream.h"
#include "script/task/session.h"
#include "wire/leat_v1.h"
#include "wire/sse.h"

enum { ALIVE_MS = 5000 };

struct tail {
    leat_worker_job job;
    int fd;
    char *remote;
    char *topic;
    char *epoch; /* NULL: from now on */
    int64_t seq;
    int64_t ends_s; /* 0: never */
};

static void free_tail(struct tail *t)
{
    free(t->remote);
    free(t->topic);
    free(t->epoch);
    free(t);
}

/* --- on the worker --- */

static leat_session *new_session(leat_core *core, int64_t ends_s)
{
    leat_slice none = {NULL, 0};
    leat_buf head = LEAT_BUF_INIT;
    leat_head_repack(&head, NULL, none);
    leat_session *session =
        leat_session_new(core->loop, ++core->last_client, none, none, leat_buf_view(&head), ends_s);
    leat_session_make_operator(session);
    leat_buf_close(&head);
    return session;
}

static void follow(const struct tail *t, leat_core *core, leat_conn *conn)
{
    leat_buf head = LEAT_BUF_INIT, line = LEAT_BUF_INIT;
    uint64_t alive_ms = core->limits->ping_interval_ms;
    if (alive_ms > ALIVE_MS)
        alive_ms = ALIVE_MS;
    leat_buf_printf(&line, LEAT_TAIL_ALIVE ": %" PRIu64 "\r\n", alive_ms);
    leat_sse_write_head(&head, leat_buf_view(&line));
    leat_buf_close(&line);
    leat_conn_set_remote(conn, t->remote);
    leat_conn_send_owned(conn, &head);
    leat_opening opening = {.conn = conn, .rest = LEAT_BUF_INIT, .alive_ms = alive_ms};
    leat_client *client = leat_client_new(core, &opening, LEAT_TRANSPORT_SSE, &leat_v1_codec,
                                          new_session(core, t->ends_s));
    leat_sub_request request = {
        .topic = leat_slice_of(t->topic),
        .deadline_ms = leat_loop_now(core->loop) + core->limits->control_timeout_ms,
    };
    if (t->epoch != NULL)
        request.since = (leat_named_position){.epoch = leat_slice_of(t->epoch), .seq = t->seq};
    leat_client_stream(client, &request);
}

static void on_worker(leat_worker_job *job, leat_worker *w)
{
    struct tail *t = LEAT_CONTAINER_OF(job, struct tail, job);
    leat_core *core = leat_worker_core(w);
    struct sockaddr_storage peer = {.ss_family = AF_UNIX};
    leat_conn *conn = NULL;
    bool room = leat_worker_serves(w) && core->n_clients < core->limits->max_connections;
    if (!room)
        close(t->fd);
    else if (leat_conn_new(&conn, &core->net, t->fd, &peer) == 0)
        follow(t, core, conn);
    free_tail(t);
}

/* --- on the control's loop --- */

static void on_no_bytes(void *owner, char *bytes, size_t len)
{
    (void)owner;
    (void)bytes;
    (void)len;
}

static void on_closed(void *owner, int err)
{
    (void)owner;
    (void)err;
}

static const leat_conn_handler no_handler = {.on_read = on_no_bytes, .on_close = on_closed};

/* Takes the socket off this loop: closing its first number closes nothing but that number. */
static int take_socket(leat_http_conn *c)
{
    leat_buf rest = LEAT_BUF_INIT;
    leat_conn *conn = leat_http_conn_detach(c, &rest);
    int fd = fcntl(leat_conn_socket(conn), F_DUPFD_CLOEXEC, 0);
    leat_conn_set_handler(conn, &no_handler, NULL);
    leat_conn_close(conn);
    leat_buf_close(&rest);
    return fd;
}

/* Tails are few, so chance spreads them well enough. */
static leat_worker *any_worker(leat_engine *engine)
{
    uint32_t chance;
    leat_random_bytes(&chance, sizeof(chance));
    return leat_engine_worker(engine, chance % leat_engine_n_workers(engine));
}

static void hand_over(struct tail *t, leat_engine *engine, leat_http_conn *c)
{
    t->remote = leat_strdup(leat_http_conn_remote(c));
    t->job.run = on_worker;
    t->fd = take_socket(c);
    if (t->fd < 0) {
        free_tail(t);
        return;
    }
    if (leat_worker_do(any_worker(engine), &t->job))
        return;
    close(t->fd);
    free_tail(t);
}

static const char *read_request(struct tail *t, const leat_http_request *r)
{
    const char *reason = "name: expected a topic's name";
    leat_buf topic = LEAT_BUF_INIT, epoch = LEAT_BUF_INIT;
    leat_named_position since;
    bool good = r->query.at != NULL && leat_http_query_get(r->query, "name", &topic) &&
                leat_v1_topic_ok(leat_buf_view(&topic)) &&
                leat_http_stream_since(r, true, &epoch, &since, &reason) == 0;
    if (good) {
        t->topic = leat_memdup(topic.at, topic.len);
        t->seq = since.seq;
        if (since.epoch.at != NULL)
            t->epoch = leat_memdup(since.epoch.at, since.epoch.len);
    }
    leat_buf_close(&topic);
    leat_buf_close(&epoch);
    return good ? NULL : reason;
}

bool leat_tail_begin(leat_engine *engine, leat_http_conn *c, leat_slice path, int64_t ends_s)
{
    const leat_http_request *r = leat_http_conn_request(c);
    if (!leat_slice_is(path, "/tail") || !leat_slice_is(r->method, "GET"))
        return false;
    struct tail *t = leat_calloc(1, sizeof(*t));
    t->ends_s = ends_s;
    const char *problem = read_request(t, r);
    if (problem == NULL) {
        hand_over(t, engine, c);
        return true;
    }
    free_tail(t);
    leat_http_answer_refusal(c, 400, "bad_request", leat_slice_of(problem), 0, NULL);
    return true;
}
