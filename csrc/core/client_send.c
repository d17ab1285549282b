/* client_send.c - each message is encoded by the client's codec between leat_peer_begin and
 * leat_peer_send. Events are sent by reference: they were encoded once, for all. */
#include "core/client_send.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/sub.h"

static const leat_slice none = {NULL, 0};

/* Opens a message without a position. */
static leat_peer *begin(leat_subscriber *to, leat_buf *out, const char *name, size_t data_len)
{
    leat_peer *p = client_of(to)->peer;
    leat_peer_begin(p, out, &(leat_peer_label){name, none, 0}, data_len);
    return p;
}

static leat_peer *begin_at(leat_subscriber *to, leat_buf *out, const char *name,
                           const leat_position *at, size_t data_len)
{
    leat_peer *p = client_of(to)->peer;
    leat_peer_label label = {name, leat_epoch_text(at->epoch), at->seq};
    leat_peer_begin(p, out, &label, data_len);
    return p;
}

static void put_in_welcome(leat_client *c, client_welcome *w, leat_subscribed *sub)
{
    leat_buf out = LEAT_BUF_INIT, scratch = LEAT_BUF_INIT;
    leat_named_position since;
    if (c->base.codec->find_known != NULL)
        sub->recovers =
            c->base.codec->find_known(leat_buf_view(&w->known), sub->topic, &since, &scratch);
    c->base.codec->write_sub(&out, sub);
    client_welcome_put(w, sub->topic, &out);
    leat_buf_close(&scratch);
}

/* Some SDKs do not look at a subscription that they have already: they are told of its end
 * first, as a client is that is to subscribe anew. */
static void put_end(leat_client *c, const leat_subscribed *sub)
{
    leat_buf out = LEAT_BUF_INIT;
    leat_peer *p = begin(&c->base, &out, "closed", 0);
    (void)c->base.codec->write_snapshot(&out, none, sub);
    leat_peer_send(p, &out);
}

/* Subscriptions that the server makes: the welcome tells of them, while it is put together. Returns
 * false if the client's protocol has no word for them, or the client itself has asked. */
static bool tell_subscribed(leat_subscriber *to, leat_slice id, leat_subscribed *sub)
{
    leat_client *c = client_of(to);
    leat_buf out = LEAT_BUF_INIT;
    if (id.at != NULL || c->base.codec->write_subscribed == NULL)
        return false;
    const leat_sub *s = leat_sub_find(to, sub->topic);
    if (!leat_sub_is_by_server(s))
        return false;
    client_welcome *w = *client_foreign_welcome(c->foreign);
    if (w != NULL) {
        put_in_welcome(c, w, sub);
        return true;
    }
    if (!leat_sub_is_asked(s))
        put_end(c, sub);
    leat_peer *p = begin(to, &out, "subscribed", sub->data.len);
    c->base.codec->write_subscribed(&out, sub);
    leat_peer_send(p, &out);
    return true;
}

static uint64_t right_expires_s(const leat_subscriber *to, leat_slice topic)
{
    return leat_sub_expires_s(leat_sub_find(to, topic), client_next_second());
}

bool client_send_snapshot(leat_subscriber *to, leat_slice id, leat_slice topic,
                          const leat_snapshot *snapshot)
{
    leat_buf out = LEAT_BUF_INIT;
    const leat_position *at = &snapshot->position;
    leat_subscribed sub = {
        .topic = topic,
        .epoch = leat_epoch_text(at->epoch),
        .seq = at->seq,
        .stale = snapshot->stale,
        .data = snapshot->json,
        .expires_s = right_expires_s(to, topic),
    };
    if (tell_subscribed(to, id, &sub))
        return true;
    leat_peer *p = begin_at(to, &out, "snapshot", at, snapshot->json.len);
    bool taken = to->codec->write_snapshot(&out, id, &sub);
    leat_peer_send(p, &out);
    if (!taken && id.at == NULL) /* its position, which led to this, would lead here again */
        client_foreign_void(client_of(to)->foreign, topic);
    return taken;
}

void client_send_resumed(leat_subscriber *to, leat_slice id, leat_slice topic,
                         const leat_position *at)
{
    leat_buf out = LEAT_BUF_INIT;
    leat_subscribed sub = {
        .topic = topic,
        .epoch = leat_epoch_text(at->epoch),
        .seq = at->seq,
        .recovers = true,
        .expires_s = right_expires_s(to, topic),
    };
    if (tell_subscribed(to, id, &sub))
        return;
    leat_peer *p = begin_at(to, &out, "resumed", at, 0);
    to->codec->write_resumed(&out, id, &sub);
    leat_peer_send(p, &out);
}

/* form: e as the client sees it. */
static void send_event(leat_client *c, const leat_event *e, leat_event *form,
                       const leat_epoch *epoch)
{
    if (leat_event_key(e).at != NULL)
        leat_peer_be_prompt(c->peer);
    leat_peer_send_event(c->peer, form, epoch);
}

void client_send_event(leat_subscriber *to, leat_event *e, const leat_epoch *epoch)
{
    send_event(client_of(to), e, e, epoch);
}

bool client_send_run(leat_subscriber *to, const leat_run *run)
{
    bool shows = leat_event_frame(run->joined).len > 0;
    return !shows || leat_peer_send_joined(client_of(to)->peer, run->joined, run->longest);
}

void client_send_event_form(leat_subscriber *to, leat_event *e, const leat_epoch *epoch)
{
    leat_client *c = client_of(to);
    leat_event *form = leat_codec_event(c->base.codec, e);
    if (form != e)
        send_event(c, e, form, epoch);
}

void client_send_error(leat_subscriber *to, leat_slice id, leat_slice topic,
                       const leat_failure *failure)
{
    leat_buf out = LEAT_BUF_INIT;
    leat_failure told = *failure;
    leat_metrics_add_error(to->core->metrics, failure->code);
    if (told.message.len == 0)
        told.message = leat_slice_of(leat_code_sentence(told.code));
    leat_peer *p = begin(to, &out, "error", told.message.len);
    if (topic.at == NULL)
        to->codec->write_error(&out, id, &told);
    else
        to->codec->write_topic_error(&out, topic, &told);
    leat_peer_send(p, &out);
}

void client_send_closed(leat_subscriber *to, leat_slice topic, const leat_failure *failure)
{
    leat_client *c = client_of(to);
    leat_buf out = LEAT_BUF_INIT;
    client_welcome *w = c->foreign == NULL ? NULL : *client_foreign_welcome(c->foreign);
    if (w != NULL) { /* the client has not heard of it yet */
        client_welcome_drop(w, topic);
        return;
    }
    leat_metrics_add_error(to->core->metrics, failure->code);
    leat_peer *p = begin(to, &out, "closed", failure->message.len);
    to->codec->write_closed(&out, topic, failure);
    leat_peer_send(p, &out);
}

void client_send_ok(leat_subscriber *to, leat_slice id, leat_slice json, leat_slice written)
{
    leat_buf out = LEAT_BUF_INIT;
    leat_peer *p = begin(to, &out, "ok", json.len + written.len);
    to->codec->write_ok(&out, id, json, written);
    leat_peer_send(p, &out);
}

/* In so many seconds the identity expires; 0: never. */
static uint64_t expires_s(const leat_session *session)
{
    return session->expires_at == 0 ? 0 : client_seconds_until(session->expires_at);
}

void client_send_welcome(leat_subscriber *to, leat_slice id, leat_slice written, leat_slice subs)
{
    leat_buf out = LEAT_BUF_INIT;
    char client[40];
    snprintf(client, sizeof(client), "%" PRIu64 "-%016" PRIx64, to->session->client,
             to->core->mark);
    leat_welcome welcome = {
        .client = leat_slice_of(client),
        .expires_s = expires_s(to->session),
        .ping_ms = to->core->limits->ping_interval_ms,
        .written = written,
        .subs = subs,
    };
    leat_peer *p = begin(to, &out, "ok", subs.len);
    to->codec->write_welcome(&out, id, &welcome);
    leat_peer_send(p, &out);
}

void client_send_history(leat_subscriber *to, leat_slice id, const leat_stored *stored,
                         size_t data_len)
{
    leat_buf out = LEAT_BUF_INIT;
    leat_peer *p = begin(to, &out, "history", data_len);
    to->codec->write_history(&out, id, stored);
    leat_peer_send(p, &out);
}

void client_send_renewed(leat_subscriber *to, leat_slice id, uint64_t expires_s)
{
    leat_buf out = LEAT_BUF_INIT;
    leat_peer *p = begin(to, &out, "renewed", 0);
    to->codec->write_renewed(&out, id, expires_s);
    leat_peer_send(p, &out);
}

void client_send_ping(leat_subscriber *to)
{
    leat_buf out = LEAT_BUF_INIT;
    leat_peer *p = begin(to, &out, "ping", 0);
    to->codec->write_ping(&out);
    leat_peer_send(p, &out);
}
