/* client_request.c - client_request_new -> start, at once or after the publish before it -> the
 * script -> on_verdict -> the answer.
 *
 * A publish or a call runs on when its client has gone away, because the client asked for it. But
 * it ends after control_timeout_ms then, even if the client would have waited longer.
 */
#include "core/client_request.h"

#include <stdlib.h>

#include "base/container_of.h"
#include "base/mem.h"
#include "core/native.h"

typedef struct client_request {
    leat_list link; /* in client->busy->requests, or core->orphans */
    leat_call call;
    leat_deadline timer; /* while it waits for an earlier publish; once its client is gone */
    leat_core *core;
    leat_client *client;      /* NULL: it has gone away */
    const leat_client *queue; /* the client that sent it; only compared, for it may be gone */
    leat_session *session;
    client_answer_cb answer;
    leat_op op;
    bool started;
    bool native; /* the embedding program answers it */
    uint64_t deadline_ms;
    char *id;           /* raw JSON, or NULL */
    leat_slice subject; /* of the copies below */
    leat_slice body;
    char text[]; /* the subject, then the body */
} client_request;

static void on_verdict(leat_call *call, const leat_verdict *v);
static void on_timeout(leat_deadline *d);

/* Returns true if the embedding program has a handler for the request: it is asked then. */
static bool start_native(client_request *r)
{
    leat_native *native = r->core->native;
    if (native == NULL || (r->op != LEAT_OP_PUBLISH && r->op != LEAT_OP_CALL))
        return false;
    leat_native_kind kind = r->op == LEAT_OP_PUBLISH ? LEAT_NATIVE_PUBLISH : LEAT_NATIVE_METHOD;
    r->native =
        native->ops->take(native, kind, &r->call, r->session, r->subject, r->body, r->deadline_ms);
    return r->native;
}

static void cancel(client_request *r)
{
    if (r->native)
        r->core->native->ops->cancel(r->core->native, &r->call);
    else
        r->core->script->ops->cancel(&r->call);
}

static void start(client_request *r)
{
    leat_script *script = r->core->script;
    r->started = true;
    if (r->client != NULL)
        leat_deadline_cancel(&r->timer); /* who answers keeps the deadline from here on */
    if (start_native(r))
        return;
    switch (r->op) {
    case LEAT_OP_PUBLISH:
        script->ops->publish(script, &r->call, r->session, r->subject, r->body, r->deadline_ms);
        return;
    case LEAT_OP_CALL:
        script->ops->method(script, &r->call, r->session, r->subject, r->body, r->deadline_ms);
        return;
    case LEAT_OP_AUTHENTICATE:
        script->ops->connect(script, &r->call, NULL, leat_peer_remote(r->client->peer), r->session,
                             r->subject, r->deadline_ms);
        return;
    case LEAT_OP_SUBSCRIBE:
    case LEAT_OP_UNSUBSCRIBE:
    case LEAT_OP_HISTORY:
    case LEAT_OP_RENEW:
    case LEAT_OP_ABSENT:
    case LEAT_OP_NOTHING:
        break;
    }
    LEAT_ASSERT(r->op != LEAT_OP_SUBSCRIBE && r->op != LEAT_OP_UNSUBSCRIBE);
}

/* The next publish of the same client to the same topic; NULL if there is none. */
static client_request *next_publish(leat_list *requests, const client_request *r)
{
    for (leat_list *l = requests->next; l != requests; l = l->next) {
        client_request *other = LEAT_CONTAINER_OF(l, client_request, link);
        if (other != r && other->op == LEAT_OP_PUBLISH && other->queue == r->queue &&
            leat_slice_equal(other->subject, r->subject))
            return other;
    }
    return NULL;
}

static size_t bytes_of(const client_request *r)
{
    return sizeof(*r) + r->subject.len + r->body.len;
}

static client_request *make(leat_client *c, leat_slice subject, leat_slice body)
{
    client_request *r = leat_calloc(1, sizeof(*r) + subject.len + body.len);
    if (subject.len > 0)
        memcpy(r->text, subject.at, subject.len);
    if (body.len > 0)
        memcpy(r->text + subject.len, body.at, body.len);
    r->subject = (leat_slice){subject.at == NULL ? NULL : r->text, subject.len};
    r->body = (leat_slice){body.at == NULL ? NULL : r->text + subject.len, body.len};
    r->core = c->base.core;
    r->client = c;
    r->queue = c;
    r->session = c->base.core->script->ops->session_ref(c->base.session);
    r->call = (leat_call){.cb = on_verdict, .data = r, .subscriber = &c->base};
    leat_deadline_init(&r->timer);
    return r;
}

void client_request_new(leat_client *c, const leat_message *m, leat_slice subject, leat_slice body,
                        uint64_t deadline_ms, client_answer_cb answer)
{
    client_request *r = make(c, subject, body);
    r->op = m->op;
    r->id = m->id.at == NULL ? NULL : leat_memdup(m->id.at, m->id.len);
    r->deadline_ms = deadline_ms;
    r->answer = answer;
    client_busy *busy = client_busy_of(c);
    bool waits = r->op == LEAT_OP_PUBLISH && next_publish(&busy->requests, r) != NULL;
    leat_list_push(&busy->requests, &r->link);
    c->base.n_inflight++;
    busy->request_bytes += bytes_of(r);
    leat_metrics_add(r->core->metrics, LEAT_M_RECEIVED_BYTES, (int64_t)bytes_of(r));
    if (waits)
        leat_loop_at(r->core->loop, &r->timer, r->deadline_ms, on_timeout);
    else
        start(r);
}

static void leave_client(client_request *r)
{
    if (r->client == NULL)
        return;
    r->client->busy->request_bytes -= bytes_of(r);
    client_settle(r->client);
    r->client = NULL;
}

static void free_request(client_request *r)
{
    leat_list_unlink(&r->link);
    leat_deadline_cancel(&r->timer);
    leat_metrics_add(r->core->metrics, LEAT_M_RECEIVED_BYTES, -(int64_t)bytes_of(r));
    leave_client(r);
    r->core->script->ops->session_unref(r->session);
    free(r->id);
    free(r);
}

static void on_verdict(leat_call *call, const leat_verdict *v)
{
    client_request *r = call->data;
    leat_client *c = r->client;
    leat_core *core = r->core;
    leat_list *all = c == NULL ? &core->orphans : &c->busy->requests;
    client_request *next = r->op == LEAT_OP_PUBLISH ? next_publish(all, r) : NULL;
    if (c != NULL) {
        leat_list_unlink(&r->link); /* answering may close the client, and its requests with it */
        r->answer(c, r->op, leat_slice_of(r->id), v);
    } else if (v->session != NULL) {
        core->script->ops->session_unref(v->session);
    }
    free_request(r);
    if (next != NULL && !next->started)
        start(next);
    if (c != NULL)
        client_answered(c);
    else
        leat_core_check_empty(core);
}

static void on_timeout(leat_deadline *d)
{
    client_request *r = LEAT_CONTAINER_OF(d, client_request, timer);
    cancel(r);
    leat_failure late = {.code = LEAT_CODE_DEADLINE_EXCEEDED, .read_failed = true};
    on_verdict(&r->call, &(leat_verdict){.failure = late});
}

static void make_orphan(client_request *r, uint64_t until_ms)
{
    leave_client(r);
    r->call.subscriber = NULL;
    leat_loop_at(r->core->loop, &r->timer, r->deadline_ms < until_ms ? r->deadline_ms : until_ms,
                 on_timeout);
    leat_list_push(&r->core->orphans, &r->link);
}

void client_request_abandon_all(leat_client *c)
{
    leat_core *core = c->base.core;
    uint64_t until_ms = leat_loop_now(core->loop) + core->limits->control_timeout_ms;
    if (c->busy == NULL)
        return;
    leat_list all;
    leat_list_move(&all, &c->busy->requests);
    for (leat_list *l = leat_list_shift(&all); l != NULL; l = leat_list_shift(&all)) {
        client_request *r = LEAT_CONTAINER_OF(l, client_request, link);
        if (r->op != LEAT_OP_AUTHENTICATE) {
            make_orphan(r, until_ms);
            continue;
        }
        cancel(r);
        free_request(r);
    }
}

void client_request_cancel_orphans(leat_core *core)
{
    for (leat_list *l = leat_list_shift(&core->orphans); l != NULL;
         l = leat_list_shift(&core->orphans)) {
        client_request *r = LEAT_CONTAINER_OF(l, client_request, link);
        cancel(r);
        free_request(r);
    }
}
