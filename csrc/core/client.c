/* client.c - a client's life: connected, kept alive, closed.
 *
 * on_read feeds the frame decoder, which calls client_on_message (client_request.c). on_drain moves
 * the cursors of its subscriptions on. on_tick pings, and gives up a peer that is dead or does not
 * read. leat_client_close ends everything that the client has and lets the conn say so; on_close
 * frees it.
 */
#include "core/client.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "core/client_private.h"

static void on_read(void *owner, const char *bytes, size_t len);
static void on_drain(void *owner);
static void on_close(void *owner, int err);
static void on_tick(leat_deadline *d);
static void on_resume(leat_deadline *d);
static void client_flow(leat_client *c);

static const leat_subscriber_ops subscriber_ops;
static const leat_conn_handler conn_handler = {on_read, on_drain, on_close};

static uint64_t min3(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t m = a < b ? a : b;
    return m < c ? m : c;
}

/* Milliseconds until a time in seconds since 1970; UINT64_MAX for 0, which is never. */
static uint64_t until_ms(int64_t at)
{
    int64_t now = (int64_t)time(NULL);
    if (at <= 0)
        return UINT64_MAX;
    return at <= now ? 0 : (uint64_t)(at - now) * 1000;
}

/* The first of the client's grants to expire. */
static uint64_t until_grant_expiry_ms(const leat_client *c)
{
    uint64_t first = UINT64_MAX;
    for (leat_map_entry *e = leat_map_next(&c->base.subs, NULL); e != NULL;
         e = leat_map_next(&c->base.subs, e)) {
        uint64_t ms = until_ms(leat_sub_expires_at(LEAT_CONTAINER_OF(e, leat_sub, entry)));
        first = ms < first ? ms : first;
    }
    return first;
}

/* A subscription whose grant has expired proves its right anew. */
static void renew_grants(leat_client *c)
{
    for (leat_map_entry *e = leat_map_next(&c->base.subs, NULL); e != NULL;
         e = leat_map_next(&c->base.subs, e)) {
        leat_sub *s = LEAT_CONTAINER_OF(e, leat_sub, entry);
        if (until_ms(leat_sub_expires_at(s)) == 0)
            leat_sub_reauthorize(s);
    }
}

void client_arm_tick(leat_client *c)
{
    const leat_limits *l = c->base.core->limits;
    if (c->closing || c->drain_until_ms != 0)
        return; /* the tick that is left is the last one */
    uint64_t every = min3(l->ping_interval_ms, l->pong_timeout_ms, l->slow_client_timeout_ms) / 2;
    uint64_t in_ms = min3(every, until_ms(c->base.session->expires_at), until_grant_expiry_ms(c));
    leat_loop_after(c->base.core->loop, &c->tick, in_ms > 0 ? in_ms : 1, on_tick);
}

leat_client *leat_client_new(leat_core *core, leat_conn *conn, leat_transport transport,
                             leat_session *session)
{
    leat_client *c = leat_calloc(1, sizeof(*c));
    c->base.ops = &subscriber_ops;
    c->base.core = core;
    c->base.is_stream = transport != LEAT_TRANSPORT_WS;
    c->conn = conn;
    c->base.session = session;
    c->transport = transport;
    c->heard_ms = leat_loop_now(core->loop);
    leat_map_init(&c->base.subs);
    leat_list_init(&c->requests);
    leat_deadline_init(&c->tick);
    leat_deadline_init(&c->resume);
    leat_frame_decoder_init(&c->decoder, core->limits->max_message_bytes);
    leat_list_push(&core->clients, &c->link);
    core->n_clients++;
    leat_metrics_add(core->metrics, LEAT_M_CONNECTIONS, 1);
    leat_conn_set_handler(conn, &conn_handler, c);
    client_arm_tick(c);
    return c;
}

void leat_client_feed(leat_client *c, const char *bytes, size_t len)
{
    on_read(c, bytes, len);
}

/* The bytes lie in a buffer that nobody else looks at: unmasking in place is ours to do. */
static void feed(leat_client *c, char *bytes, size_t len)
{
    size_t fed = 0;
    int code = leat_frame_feed(&c->decoder, bytes, len, client_on_message, c, &fed);
    if (code != 0) {
        leat_metrics_add(c->base.core->metrics, LEAT_M_PROTOCOL_ERRORS, 1);
        leat_client_close(c, code, code == LEAT_CLOSE_TOO_BIG ? "message too large" : "");
    } else if (fed < len && !c->closing) {
        leat_buf_append(&c->backlog, bytes + fed, len - fed);
    }
    client_flow(c);
}

static void on_read(void *owner, const char *bytes, size_t len)
{
    leat_client *c = owner;
    if (c->closing || c->transport == LEAT_TRANSPORT_SSE)
        return;
    c->heard_ms = leat_loop_now(c->base.core->loop);
    c->pinged = false;
    if (c->backlog.len > 0)
        leat_buf_append(&c->backlog, bytes, len);
    else
        feed(c, (char *)(uintptr_t)bytes, len);
}

bool client_may_ask(leat_client *c)
{
    const leat_limits *l = c->base.core->limits;
    return c->base.n_inflight < l->max_inflight && c->request_bytes < l->max_message_bytes &&
           client_takes_more(c);
}

void client_resume(leat_client *c)
{
    if (!c->closing && !leat_deadline_armed(&c->resume))
        leat_loop_after(c->base.core->loop, &c->resume, 0, on_resume);
}

/* Reads on only while the client is not too far ahead of its answers. What was read already waits
 * for the loop's next round: the caller that is answered just now is in the middle of something. */
static void client_flow(leat_client *c)
{
    if (c->closing)
        return;
    bool may_ask = client_may_ask(c);
    if (may_ask && c->backlog.len > 0)
        client_resume(c);
    bool pause = !may_ask || c->backlog.len > 0;
    if (pause == c->paused)
        return;
    c->paused = pause;
    if (pause)
        leat_conn_read_stop(c->conn);
    else
        leat_conn_read_start(c->conn);
}

void client_answered(leat_client *c)
{
    c->base.n_inflight--;
    client_flow(c);
}

/* What stopped because too much was unsent goes on. */
static void on_drain(void *owner)
{
    leat_client *c = owner;
    if (c->closing)
        return;
    c->blocked = false;
    client_flow(c);
    for (leat_map_entry *e = leat_map_next(&c->base.subs, NULL); e != NULL;
         e = leat_map_next(&c->base.subs, e))
        leat_sub_pump(LEAT_CONTAINER_OF(e, leat_sub, entry));
}

static void on_resume(leat_deadline *d)
{
    leat_client *c = LEAT_CONTAINER_OF(d, leat_client, resume);
    bool full = leat_conn_queued(c->conn) >= c->base.core->limits->max_send_buffer_bytes;
    c->blocked = full && leat_conn_blocked(c->conn);
    if (full && !c->blocked)
        client_resume(c); /* queued in this round: its end will tell */
    if (full)
        return;
    if (c->backlog.len > 0 && client_may_ask(c)) {
        leat_buf own = c->backlog;
        c->backlog = LEAT_BUF_INIT;
        feed(c, own.at, own.len);
        leat_buf_close(&own);
    }
    on_drain(c);
}

static void end_everything(leat_client *c)
{
    for (leat_map_entry *e = leat_map_next(&c->base.subs, NULL); e != NULL;
         e = leat_map_next(&c->base.subs, NULL))
        leat_sub_close(LEAT_CONTAINER_OF(e, leat_sub, entry), false);
    client_cancel_requests(c);
    leat_deadline_cancel(&c->tick);
    leat_deadline_cancel(&c->resume);
}

void leat_client_close(leat_client *c, int code, const char *reason)
{
    if (c->closing)
        return;
    c->closing = true; /* first: what ends now begins nothing new */
    end_everything(c);
    if (c->transport != LEAT_TRANSPORT_SSE) {
        leat_buf frame = LEAT_BUF_INIT;
        leat_frame_write_close(&frame, code, reason);
        leat_conn_send_owned(c->conn, &frame);
    }
    leat_conn_finish(c->conn,
                     leat_loop_now(c->base.core->loop) + c->base.core->limits->close_timeout_ms);
}

static void on_close(void *owner, int err)
{
    leat_client *c = owner;
    leat_core *core = c->base.core;
    if (!c->closing)
        LEAT_LOG_DEBUG("client", "gone err=%s", err == 0 ? "-" : uv_err_name(err));
    c->closing = true;
    end_everything(c);
    leat_frame_decoder_close(&c->decoder);
    leat_buf_close(&c->backlog);
    core->script->ops->session_unref(c->base.session);
    leat_map_close(&c->base.subs);
    leat_list_unlink(&c->link);
    core->n_clients--;
    leat_metrics_add(core->metrics, LEAT_M_CONNECTIONS, -1);
    free(c);
    leat_core_check_empty(core);
}

static void close_slow(leat_client *c)
{
    leat_metrics_add(c->base.core->metrics, LEAT_M_SLOW_CLOSED, 1);
    LEAT_LOG_INFO("client", "closed reason=slow remote=%s unsent=%zu", leat_conn_remote(c->conn),
                  leat_conn_queued(c->conn));
    leat_client_close(c, LEAT_CLOSE_TOO_SLOW, "too slow");
}

void client_overrun(leat_client *c)
{
    c->overrun = true;
    leat_loop_after(c->base.core->loop, &c->tick, 0, on_tick);
}

static void send_ping(leat_client *c)
{
    leat_buf ping = LEAT_BUF_INIT;
    if (c->transport == LEAT_TRANSPORT_SSE)
        leat_buf_text(&ping, ":\n\n"); /* a comment: keeps proxies from giving up */
    else
        leat_frame_write(&ping, LEAT_FRAME_PING, (leat_slice){NULL, 0});
    leat_conn_send_owned(c->conn, &ping);
}

static void on_tick(leat_deadline *d)
{
    leat_client *c = LEAT_CONTAINER_OF(d, leat_client, tick);
    const leat_limits *l = c->base.core->limits;
    uint64_t now = leat_loop_now(c->base.core->loop);
    bool stuck = leat_conn_queued(c->conn) > 0 &&
                 now - leat_conn_progress_ms(c->conn) >= l->slow_client_timeout_ms;
    uint64_t quiet = now - c->heard_ms;
    renew_grants(c);
    client_arm_tick(c);
    if (stuck || c->overrun) {
        close_slow(c);
    } else if (until_ms(c->base.session->expires_at) == 0) {
        leat_client_close(c, LEAT_CLOSE_IDENTITY, "identity expired");
    } else if (c->paused && quiet >= l->ping_interval_ms) {
        /* It is the server that does not read. But a ping that cannot be delivered shows that the
         * peer has gone. */
        c->heard_ms = now;
        send_ping(c);
    } else if (c->paused) {
        return;
    } else if (c->pinged && quiet >= l->ping_interval_ms + l->pong_timeout_ms) {
        LEAT_LOG_INFO("client", "closed reason=dead remote=%s", leat_conn_remote(c->conn));
        leat_conn_close(c->conn);
    } else if (!c->pinged && quiet >= l->ping_interval_ms) {
        c->pinged = c->transport != LEAT_TRANSPORT_SSE;
        c->heard_ms = c->pinged ? c->heard_ms : now;
        send_ping(c);
    }
}

void leat_client_stream(leat_client *c, leat_slice topic, leat_slice params, leat_grant *grant,
                        leat_topic_mark seen, leat_since since, uint64_t deadline_ms)
{
    leat_sub_request request = {
        .topic = topic,
        .params = params,
        .since = since,
        .deadline_ms = deadline_ms,
        .grant = grant,
        .seen = seen,
    };
    leat_sub_new(&c->base, &request);
}

static int close_code_of(leat_code code)
{
    switch (code) {
    case LEAT_CODE_DEADLINE_EXCEEDED:
        return LEAT_CLOSE_DEADLINE;
    case LEAT_CODE_UNAUTHENTICATED:
        return LEAT_CLOSE_IDENTITY;
    case LEAT_CODE_UNAVAILABLE:
        return LEAT_CLOSE_TRY_LATER;
    case LEAT_CODE_INTERNAL:
        return LEAT_CLOSE_INTERNAL;
    case LEAT_CODE_LIMIT:
    case LEAT_CODE_RATE_LIMITED:
        return LEAT_CLOSE_TOO_MANY;
    case LEAT_CODE_OK:
    case LEAT_CODE_BAD_REQUEST:
    case LEAT_CODE_FORBIDDEN:
    case LEAT_CODE_NOT_FOUND:
    case LEAT_CODE_ALREADY_SUBSCRIBED:
    case LEAT_CODE_TOO_LARGE:
    case LEAT_CODE_REVOKED:
    case LEAT_CODE_COUNT:
        break;
    }
    return LEAT_CLOSE_NORMAL;
}

static void end_stream(leat_subscriber *to, leat_code code)
{
    leat_client_close((leat_client *)to, close_code_of(code), leat_code_name(code));
}

static void on_answered(leat_subscriber *to)
{
    client_answered((leat_client *)to);
}

static void on_grant_expires(leat_subscriber *to)
{
    client_arm_tick((leat_client *)to);
}

static const leat_subscriber_ops subscriber_ops = {
    .snapshot = client_send_snapshot,
    .resumed = client_send_resumed,
    .event = client_send_event,
    .refused = client_refuse_subscribe,
    .closed = client_send_closed,
    .takes_more = client_subscriber_takes_more,
    .takes_snapshot = client_takes_snapshot,
    .answered = on_answered,
    .grant_expires = on_grant_expires,
    .stream_ended = end_stream,
};

static void on_drain_tick(leat_deadline *d)
{
    leat_client *c = LEAT_CONTAINER_OF(d, leat_client, tick);
    client_drain(c, c->drain_until_ms);
}

void client_drain(leat_client *c, uint64_t until_ms)
{
    leat_core *core = c->base.core;
    uint64_t now = leat_loop_now(core->loop);
    if (c->closing)
        return;
    bool first = c->drain_until_ms == 0;
    c->drain_until_ms = until_ms;
    if (now < until_ms && (first || c->base.n_inflight > 0)) {
        uint64_t left = until_ms - now;
        uint64_t in_ms = first       ? leat_random_below(leat_loop_random(core->loop), left)
                         : left < 50 ? left
                                     : 50;
        leat_loop_after(core->loop, &c->tick, in_ms, on_drain_tick);
        return;
    }
    char reason[48];
    snprintf(reason, sizeof(reason), "retry_after_ms=%" PRIu64,
             leat_random_below(leat_loop_random(core->loop), core->limits->drain_ms + 1));
    leat_client_close(c, LEAT_CLOSE_GOING_AWAY, reason);
}
