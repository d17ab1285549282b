/* client_request.c - what a client asks for: one message, one operation, one answer.
 *
 * client_on_message parses and dispatches. Subscriptions go their own way (sub.c); publish, call
 * and authenticate are requests that run a handler and are answered in on_answer. A client's
 * publishes to one topic run one after the other, in the order in which they came. A publish or
 * call whose client has gone runs to its end all the same: it was asked for, and its answer is
 * dropped. But where the client would have waited longer, it has control_timeout_ms.
 */
#include "core/client_private.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"

typedef struct client_request {
    leat_list link; /* in client->requests, or core->orphans */
    leat_call call;
    leat_deadline limit; /* while it stands in line, and once its client has gone */
    leat_core *core;
    leat_client *client; /* NULL: gone */
    const leat_client
        *line; /* whose line it stands in: only compared, also when the client is gone */
    leat_session *session;
    leat_v1_op op;
    bool started;
    uint64_t deadline_ms;
    char *id;         /* raw JSON, or NULL */
    leat_slice topic; /* of the copies below */
    leat_slice body;
    char text[]; /* topic or method or token, then the body */
} client_request;

static void on_answer(leat_call *call, const leat_verdict *v);
static void on_limit(leat_deadline *d);

static uint64_t deadline_of(const leat_client *c, const leat_v1_message *m)
{
    uint64_t now = leat_loop_now(c->base.core->loop);
    uint64_t own = m->timeout_ms > 0 ? now + m->timeout_ms : LEAT_DEADLINE_NEVER;
    return leat_control_deadline(own, now, c->base.core->limits->control_timeout_ms);
}

static void refuse(leat_client *c, leat_slice id, leat_code code, const char *message)
{
    if (code == LEAT_CODE_BAD_REQUEST)
        leat_metrics_add(c->base.core->metrics, LEAT_M_BAD_REQUESTS, 1);
    client_send_error(c, id, (leat_slice){NULL, 0},
                      &(leat_failure){code, leat_slice_of(message), 0});
}

static leat_sub *find_sub(leat_client *c, leat_slice topic)
{
    leat_map_entry *e = leat_map_get(&c->base.subs, topic);
    return e == NULL ? NULL : LEAT_CONTAINER_OF(e, leat_sub, entry);
}

static void subscribe(leat_client *c, const leat_v1_message *m)
{
    const char *why;
    if (c->transport != LEAT_TRANSPORT_WS) {
        refuse(c, m->id, LEAT_CODE_BAD_REQUEST, "a stream carries one topic: open /ws for more");
        return;
    }
    leat_sub_request request = {
        .topic = m->topic,
        .id = m->id,
        .params = m->params,
        .since = {m->has_since ? m->since_epoch : (leat_slice){NULL, 0}, m->since_seq},
        .deadline_ms = deadline_of(c, m),
    };
    leat_code code = leat_subscribe(&c->base, &request, &why);
    if (code != LEAT_CODE_OK) {
        uint32_t retry_after_ms = code == LEAT_CODE_UNAVAILABLE ? 1000 : 0;
        client_send_error(c, m->id, (leat_slice){NULL, 0},
                          &(leat_failure){code, leat_slice_of(why), retry_after_ms});
    }
}

static void unsubscribe(leat_client *c, const leat_v1_message *m)
{
    leat_sub *s = find_sub(c, m->topic);
    if (s == NULL) {
        refuse(c, m->id, LEAT_CODE_NOT_FOUND, "not subscribed to this topic");
        return;
    }
    leat_sub_close(s, true);
    client_send_ok(c, m->id, (leat_slice){NULL, 0});
    if (c->transport != LEAT_TRANSPORT_WS)
        leat_client_close(c, LEAT_CLOSE_NORMAL, "unsubscribed");
}

static void start(client_request *r)
{
    leat_core *core = r->core;
    leat_script *script = core->script;
    r->started = true;
    if (r->client != NULL)
        leat_deadline_cancel(&r->limit); /* from here on it is the script's */
    switch (r->op) {
    case LEAT_V1_PUBLISH:
        script->ops->publish(script, &r->call, r->session, r->topic, r->body, r->deadline_ms);
        return;
    case LEAT_V1_CALL:
        script->ops->method(script, &r->call, r->session, r->topic, r->body, r->deadline_ms);
        return;
    case LEAT_V1_AUTHENTICATE:
        script->ops->connect(script, &r->call, NULL, leat_conn_remote(r->client->conn), r->session,
                             r->topic, r->deadline_ms);
        return;
    case LEAT_V1_SUBSCRIBE:
    case LEAT_V1_UNSUBSCRIBE:
        break;
    }
    LEAT_ASSERT(r->op != LEAT_V1_SUBSCRIBE && r->op != LEAT_V1_UNSUBSCRIBE);
}

/* The next publish of the same client to the same topic that has not begun. */
static client_request *next_in_line(leat_list *requests, const client_request *r)
{
    for (leat_list *l = requests->next; l != requests; l = l->next) {
        client_request *other = LEAT_CONTAINER_OF(l, client_request, link);
        if (other != r && other->op == LEAT_V1_PUBLISH && other->line == r->line &&
            leat_slice_equal(other->topic, r->topic))
            return other;
    }
    return NULL;
}

static void arm_limit(client_request *r, uint64_t at_ms)
{
    leat_loop_at(r->core->loop, &r->limit, at_ms, on_limit);
}

static size_t bytes_of(const client_request *r)
{
    return sizeof(*r) + r->topic.len + r->body.len;
}

static void request(leat_client *c, const leat_v1_message *m, leat_slice subject, leat_slice body)
{
    client_request *r = leat_calloc(1, sizeof(*r) + subject.len + body.len);
    memcpy(r->text, subject.at, subject.len);
    if (body.len > 0)
        memcpy(r->text + subject.len, body.at, body.len);
    r->topic = (leat_slice){r->text, subject.len};
    r->body = (leat_slice){body.at == NULL ? NULL : r->text + subject.len, body.len};
    r->core = c->base.core;
    r->client = c;
    r->line = c;
    r->session = c->base.core->script->ops->session_ref(c->base.session);
    r->op = m->op;
    r->deadline_ms = deadline_of(c, m);
    r->id = m->id.at == NULL ? NULL : leat_memdup(m->id.at, m->id.len);
    r->call = (leat_call){.cb = on_answer, .data = r, .subscriber = &c->base};
    bool wait = r->op == LEAT_V1_PUBLISH && next_in_line(&c->requests, r) != NULL;
    leat_deadline_init(&r->limit);
    leat_list_push(&c->requests, &r->link);
    c->base.n_inflight++;
    c->request_bytes += bytes_of(r);
    if (wait)
        arm_limit(r, r->deadline_ms);
    else
        start(r);
}

static void free_request(client_request *r)
{
    leat_list_unlink(&r->link);
    leat_deadline_cancel(&r->limit);
    if (r->client != NULL)
        r->client->request_bytes -= bytes_of(r);
    r->core->script->ops->session_unref(r->session);
    free(r->id);
    free(r);
}

static void renew_session(leat_client *c, leat_session *session)
{
    c->base.core->script->ops->session_unref(c->base.session);
    c->base.session = session;
    client_arm_tick(c); /* it may expire sooner */
    for (leat_map_entry *e = leat_map_next(&c->base.subs, NULL); e != NULL;
         e = leat_map_next(&c->base.subs, e))
        leat_sub_reauthorize(LEAT_CONTAINER_OF(e, leat_sub, entry));
}

static void answer(leat_client *c, client_request *r, const leat_verdict *v)
{
    char text[512];
    snprintf(text, sizeof(text), "%.*s", (int)v->message.len,
             v->message.at == NULL ? "" : v->message.at);
    if (v->code == LEAT_CODE_OK) {
        if (r->op == LEAT_V1_AUTHENTICATE)
            renew_session(c, v->session);
        client_send_ok(c, leat_slice_of(r->id), v->json);
        return;
    }
    client_send_error(c, leat_slice_of(r->id), (leat_slice){NULL, 0},
                      &(leat_failure){v->code, leat_slice_of(text), v->retry_after_ms});
    /* A failed read or script says nothing about the identity: the client keeps the one it has. */
    if (r->op == LEAT_V1_AUTHENTICATE && !v->read_failed && v->code != LEAT_CODE_INTERNAL)
        leat_client_close(c, LEAT_CLOSE_IDENTITY, leat_code_name(v->code));
}

static void on_answer(leat_call *call, const leat_verdict *v)
{
    client_request *r = call->data;
    leat_client *c = r->client;
    leat_list *line = c == NULL ? &r->core->orphans : &c->requests;
    client_request *next = r->op == LEAT_V1_PUBLISH ? next_in_line(line, r) : NULL;
    if (c != NULL) {
        leat_list_unlink(&r->link); /* answering may close the client, and its requests with it */
        answer(c, r, v);
    } else if (v->session != NULL) {
        r->core->script->ops->session_unref(v->session);
    }
    leat_core *core = r->core;
    free_request(r);
    if (next != NULL && !next->started)
        start(next);
    if (c != NULL)
        client_answered(c);
    else
        leat_core_check_empty(core);
}

static void on_limit(leat_deadline *d)
{
    client_request *r = LEAT_CONTAINER_OF(d, client_request, limit);
    r->core->script->ops->cancel(&r->call);
    on_answer(&r->call, &(leat_verdict){.code = LEAT_CODE_DEADLINE_EXCEEDED, .read_failed = true});
}

void client_cancel_requests(leat_client *c)
{
    leat_core *core = c->base.core;
    uint64_t until = leat_loop_now(core->loop) + core->limits->control_timeout_ms;
    leat_list all;
    leat_list_move(&all, &c->requests);
    for (leat_list *l = leat_list_shift(&all); l != NULL; l = leat_list_shift(&all)) {
        client_request *r = LEAT_CONTAINER_OF(l, client_request, link);
        if (r->op == LEAT_V1_AUTHENTICATE) {
            core->script->ops->cancel(&r->call);
            free_request(r);
            continue;
        }
        r->client = NULL;
        r->call.subscriber = NULL;
        arm_limit(r, r->deadline_ms < until ? r->deadline_ms : until);
        leat_list_push(&core->orphans, &r->link);
    }
}

void leat_core_cancel_orphans(leat_core *core)
{
    for (leat_list *l = leat_list_shift(&core->orphans); l != NULL;
         l = leat_list_shift(&core->orphans)) {
        client_request *r = LEAT_CONTAINER_OF(l, client_request, link);
        core->script->ops->cancel(&r->call);
        free_request(r);
    }
}

static void dispatch(leat_client *c, const leat_v1_message *m)
{
    switch (m->op) {
    case LEAT_V1_SUBSCRIBE:
        subscribe(c, m);
        return;
    case LEAT_V1_UNSUBSCRIBE:
        unsubscribe(c, m);
        return;
    case LEAT_V1_PUBLISH:
        request(c, m, m->topic, m->data);
        return;
    case LEAT_V1_CALL:
        request(c, m, m->method, m->params);
        return;
    case LEAT_V1_AUTHENTICATE:
        request(c, m, m->token, (leat_slice){NULL, 0});
        return;
    }
}

/* A caller's deadline is kept unchanged, or refused: he would not know of a shorter one. */
static bool check_timeout(leat_client *c, const leat_v1_message *m)
{
    uint64_t most = c->base.core->limits->max_timeout_ms;
    char text[80];
    if (m->timeout_ms <= most)
        return true;
    snprintf(text, sizeof(text), "\"timeout_ms\" may be at most %" PRIu64 " here", most);
    refuse(c, m->id, LEAT_CODE_BAD_REQUEST, text);
    return false;
}

static void on_text(leat_client *c, leat_slice text)
{
    leat_buf scratch = LEAT_BUF_INIT;
    leat_v1_message m;
    char reason[256];
    size_t max_values = c->base.core->limits->max_message_values;
    int err = leat_v1_parse(&m, text, max_values, &scratch, reason, sizeof(reason));
    if (err == LEAT_ETOOLARGE) {
        leat_metrics_add(c->base.core->metrics, LEAT_M_MESSAGES_TOO_LARGE, 1);
        refuse(c, m.id, LEAT_CODE_TOO_LARGE, reason);
    } else if (err < 0) {
        refuse(c, m.id, LEAT_CODE_BAD_REQUEST, reason);
    } else if (check_timeout(c, &m)) {
        dispatch(c, &m);
    }
    leat_buf_close(&scratch);
}

static void on_close_frame(leat_client *c, int code, leat_slice reason)
{
    char text[128];
    snprintf(text, sizeof(text), "%.*s", (int)reason.len, reason.at == NULL ? "" : reason.at);
    c->peer_closed = true;
    leat_client_close(c, code, text); /* echoes the status code (RFC 6455 §5.5.1) */
}

bool client_on_message(void *arg, leat_frame_op op, leat_slice payload, int close_code)
{
    leat_client *c = arg;
    leat_buf pong = LEAT_BUF_INIT;
    switch (op) {
    case LEAT_FRAME_TEXT:
        on_text(c, payload);
        break;
    case LEAT_FRAME_BINARY:
        leat_client_close(c, LEAT_CLOSE_UNSUPPORTED, "leat.v1 is text messages");
        break;
    case LEAT_FRAME_PING:
        leat_frame_write(&pong, LEAT_FRAME_PONG, payload);
        leat_conn_send_owned(c->conn, &pong);
        break;
    case LEAT_FRAME_PONG:
        break; /* any bytes count as a sign of life */
    case LEAT_FRAME_CLOSE:
        on_close_frame(c, close_code, payload);
        break;
    case LEAT_FRAME_CONTINUATION:
        LEAT_ASSERT(op != LEAT_FRAME_CONTINUATION); /* the decoder hands on whole messages */
        break;
    }
    return !c->closing && client_may_ask(c);
}
