/* sub.c - the life of a subscription: asked for, authorised, armed, ended.
 *
 * leat_sub_new -> sub_authorize (sub_right.c) -> sub_arm -> leat_sub_on_armed -> sub_begin_reading
 * (sub_read.c) -> sub_begin_replay (sub_replay.c). A revocation or a new identity leads back to
 * sub_authorize.
 * Every end is sub_end (told) or leat_sub_close (asked for), and both are free_sub.
 */
#include "core/sub.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "core/sub_private.h"

enum { MAX_EPOCH = 64 };

static void on_not_armed(leat_deadline *d);

static const char *const state_names[] = {
    "new", "authorizing", "arming", "reading", "replaying", "live", "closed",
};

#define TO(state) (1u << LEAT_SUB_##state)
/* A stream's subscription comes authorised and goes straight to ARMING. */
static const unsigned edges[] = {
    [LEAT_SUB_NEW] = TO(AUTHORIZING) | TO(ARMING) | TO(CLOSED),
    [LEAT_SUB_AUTHORIZING] = TO(ARMING) | TO(READING) | TO(REPLAYING) | TO(CLOSED),
    [LEAT_SUB_ARMING] = TO(READING) | TO(AUTHORIZING) | TO(CLOSED),
    [LEAT_SUB_READING] = TO(REPLAYING) | TO(AUTHORIZING) | TO(CLOSED),
    [LEAT_SUB_REPLAYING] = TO(LIVE) | TO(READING) | TO(AUTHORIZING) | TO(CLOSED),
    [LEAT_SUB_LIVE] = TO(READING) | TO(AUTHORIZING) | TO(CLOSED),
    [LEAT_SUB_CLOSED] = 0,
};

void sub_set_state(leat_sub *s, leat_sub_state next)
{
    leat_metrics *m = s->client->core->metrics;
    LEAT_ASSERT(edges[s->state] & (1u << next));
    LEAT_LOG_DEBUG("sub", "%s -> %s", state_names[s->state], state_names[next]);
    leat_metrics_add(m, LEAT_M_SUBS_NEW + s->state, -1);
    if (next != LEAT_SUB_CLOSED)
        leat_metrics_add(m, LEAT_M_SUBS_NEW + next, 1);
    s->state = next;
}

sub_work *sub_work_of(leat_sub *s)
{
    if (s->work != NULL)
        return s->work;
    sub_work *w = leat_calloc(1, sizeof(*w));
    w->sub = s;
    w->call.data = w->share.data = w->catch_up.data = s;
    w->call.client = s->client;
    leat_deadline_init(&w->wait);
    leat_list_init(&w->turn);
    s->work = w;
    return w;
}

leat_slice sub_name(const leat_sub *s)
{
    return s->entry.key;
}

static leat_core *core_of(const leat_sub *s)
{
    return s->client->core;
}

static char *copy(leat_slice text)
{
    return text.at == NULL ? NULL : leat_memdup(text.at, text.len);
}

leat_sub *leat_sub_new(leat_client *client, const leat_sub_request *request)
{
    leat_sub *s = leat_calloc(1, sizeof(*s));
    s->client = client;
    s->name = copy(request->topic);
    s->params = copy(request->params);
    s->grant = request->grant;
    leat_list_init(&s->topic_link);
    leat_map_add(&client->subs, &s->entry, (leat_slice){s->name, request->topic.len});
    leat_metrics_add(client->core->metrics, LEAT_M_SUBS_NEW, 1);
    sub_work *w = sub_work_of(s);
    w->asking = true;
    w->started_ns = uv_hrtime();
    w->deadline_ms = request->deadline_ms;
    w->id = copy(request->id);
    if (request->since.epoch.len <= MAX_EPOCH) /* a longer one is none of ours: as without */
        w->since_epoch = copy(request->since.epoch);
    w->since_seq = request->since.seq;
    w->seen = request->seen;
    w->done = request->done;
    w->done_arg = request->done_arg;
    client->n_inflight++;
    client->params_bytes += request->params.len;
    if (s->grant == NULL)
        sub_authorize(s);
    else
        sub_arm(s);
    return s;
}

static void stop_work(leat_sub *s)
{
    sub_work *w = s->work;
    if (w == NULL)
        return;
    core_of(s)->script->ops->cancel(&w->call);
    sub_stop_reading(s);
    free(w->id);
    free(w->since_epoch);
    free(w);
    s->work = NULL;
}

static void free_sub(leat_sub *s)
{
    leat_client *client = s->client;
    bool asking = s->work != NULL && s->work->asking;
    stop_work(s);
    sub_set_state(s, LEAT_SUB_CLOSED);
    leat_map_remove(&client->subs, &s->entry);
#ifdef LEAT_BROKEN_LEAK_SUBSCRIPTION
    if (s->topic != NULL && asking) {
        leat_list_unlink(&s->topic_link); /* for the torture test to find: the topic counts it on */
        s->topic = NULL;
    }
#endif
    if (s->topic != NULL)
        leat_topic_detach(s->topic, &s->topic_link);
    if (s->grant != NULL)
        client->core->script->ops->grant_free(s->grant);
    client->params_bytes -= leat_slice_of(s->params).len;
    free(s->name);
    free(s->params);
    free(s);
    if (asking)
        client_answered(client);
}

void sub_settle(leat_sub *s)
{
    sub_work *w = s->work;
    if (w == NULL || w->asking || s->state != LEAT_SUB_LIVE || s->stale ||
        w->catch_up.topic != NULL || w->read != NULL || w->go != NULL ||
        leat_deadline_armed(&w->wait))
        return;
    stop_work(s);
}

sub_caller sub_answered(leat_sub *s, leat_metric outcome)
{
    sub_work *w = s->work;
    leat_metrics *m = core_of(s)->metrics;
    sub_caller caller = {w->done, w->done_arg};
    w->asking = false;
    w->done = NULL;
    leat_metrics_add(m, outcome, 1);
    leat_metrics_observe(m, LEAT_H_HANDSHAKE, (double)(uv_hrtime() - w->started_ns) / 1e9);
    client_answered(s->client);
    return caller;
}

void sub_tell(sub_caller caller)
{
    if (caller.done != NULL)
        caller.done(caller.arg, LEAT_CODE_OK, NULL, 0);
}

static leat_metric outcome_of(leat_code code)
{
    switch (code) {
    case LEAT_CODE_DEADLINE_EXCEEDED:
        return LEAT_M_HANDSHAKES_DEADLINE;
    case LEAT_CODE_UNAVAILABLE:
        return LEAT_M_HANDSHAKES_UNAVAILABLE;
    case LEAT_CODE_INTERNAL:
    case LEAT_CODE_TOO_LARGE:
        return LEAT_M_HANDSHAKES_INTERNAL;
    case LEAT_CODE_OK:
    case LEAT_CODE_BAD_REQUEST:
    case LEAT_CODE_UNAUTHENTICATED:
    case LEAT_CODE_FORBIDDEN:
    case LEAT_CODE_NOT_FOUND:
    case LEAT_CODE_ALREADY_SUBSCRIBED:
    case LEAT_CODE_LIMIT:
    case LEAT_CODE_RATE_LIMITED:
    case LEAT_CODE_REVOKED:
    case LEAT_CODE_COUNT:
        break;
    }
    return LEAT_M_HANDSHAKES_REFUSED;
}

void sub_end(leat_sub *s, leat_code code, leat_slice message, uint32_t retry_after_ms)
{
    leat_client *client = s->client;
    leat_core *core = client->core;
    sub_work *w = s->work;
    char *text = message.len > 0 ? copy(message) : leat_strdup(leat_code_sentence(code));
    char topic[160];
    LEAT_LOG_INFO("sub", "ended topic=%s code=%s",
                  leat_log_quote(topic, sizeof(topic), sub_name(s).at, sub_name(s).len),
                  leat_code_name(code));
    bool stream = client->transport != LEAT_TRANSPORT_WS;
    leat_client_subscribed_cb done = NULL;
    void *done_arg = NULL;
    if (w != NULL && w->asking) {
        leat_metrics_add(core->metrics, outcome_of(code), 1);
        leat_metrics_observe(core->metrics, LEAT_H_HANDSHAKE,
                             (double)(uv_hrtime() - w->started_ns) / 1e9);
        done = w->done;
        done_arg = w->done_arg;
        if (done == NULL)
            client_send_error(client, leat_slice_of(w->id),
                              stream ? sub_name(s) : (leat_slice){NULL, 0}, code, text,
                              retry_after_ms);
    } else {
        client_send_closed(client, sub_name(s), code, text);
    }
    free_sub(s);
    if (stream)
        client_stream_ended(client, code);
    if (done != NULL)
        done(done_arg, code, text, retry_after_ms);
    free(text);
}

void leat_sub_close(leat_sub *s, bool tell)
{
    leat_client *client = s->client;
    sub_work *w = s->work;
    if (w != NULL && w->asking) {
        leat_metrics_add(client->core->metrics, LEAT_M_HANDSHAKES_GONE, 1);
        if (tell && w->done == NULL)
            client_send_error(client, leat_slice_of(w->id), (leat_slice){NULL, 0},
                              LEAT_CODE_BAD_REQUEST, "unsubscribed before it was answered", 0);
    }
    leat_client_subscribed_cb done = w != NULL && tell ? w->done : NULL;
    void *done_arg = w != NULL ? w->done_arg : NULL;
    free_sub(s);
    if (done != NULL)
        done(done_arg, LEAT_CODE_BAD_REQUEST, "unsubscribed before it was answered", 0);
}

void leat_sub_forget(leat_sub *s, void *done_arg)
{
    if (s->work != NULL && s->work->done_arg == done_arg)
        s->work->done = NULL;
}

static void attach(leat_sub *s)
{
    s->topic = leat_topic_get(core_of(s), sub_name(s));
    leat_topic_attach(s->topic, &s->topic_link);
    s->entry.key = s->topic->entry.key; /* the same bytes; one copy of them is enough */
    free(s->name);
    s->name = NULL;
}

/* Nothing has been read of the topic yet that the client will see, and nothing will be before this
 * is confirmed: the subscription is armed first. */
void sub_arm(leat_sub *s)
{
    leat_core *core = core_of(s);
    if (s->topic == NULL)
        attach(s);
    sub_set_state(s, LEAT_SUB_ARMING);
    if (s->topic->armed)
        leat_sub_on_armed(s);
    else
        leat_deadline_arm(leat_loop_deadlines(core->loop), &s->work->wait, s->work->deadline_ms,
                          on_not_armed);
}

static void on_not_armed(leat_deadline *d)
{
    leat_sub *s = LEAT_LIST_ENTRY(d, sub_work, wait)->sub;
    bool listening = leat_hub_ready(core_of(s)->hub);
    sub_end(s, listening ? LEAT_CODE_DEADLINE_EXCEEDED : LEAT_CODE_UNAVAILABLE,
            (leat_slice){NULL, 0}, listening ? 0 : 1000);
}

void leat_sub_on_armed(leat_sub *s)
{
    if (s->state != LEAT_SUB_ARMING)
        return;
    leat_deadline_cancel(&s->work->wait);
    sub_begin_reading(s);
}
