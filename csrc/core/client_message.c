/* client_message.c - client_messages parses and dispatches. A subscribe goes its own way (sub.c);
 * publish, call and authenticate are requests (client_request.c), which `answer` answers. */
#include "core/client_message.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/admission.h"
#include "core/client_end.h"
#include "core/client_history.h"
#include "core/client_identity.h"
#include "core/client_plan.h"
#include "core/client_renewal.h"
#include "core/client_request.h"
#include "core/client_send.h"
#include "core/subscribe.h"
#include "net/ws_peer.h"
#include "wire/close_code.h"

static const leat_slice none = {NULL, 0};

static uint64_t deadline_of(const leat_client *c, const leat_message *m)
{
    uint64_t now_ms = leat_loop_now(c->base.core->loop);
    uint64_t own_ms = m->timeout_ms > 0 ? now_ms + m->timeout_ms : LEAT_DEADLINE_NEVER;
    uint64_t fallback_ms = c->base.core->limits->control_timeout_ms;
    if (c->base.codec->answer_ms > 0 && c->base.codec->answer_ms < fallback_ms)
        fallback_ms = c->base.codec->answer_ms;
    return leat_control_deadline(own_ms, now_ms, fallback_ms);
}

/* Only a WebSocket has messages, so the peer is a WebSocket's. */
static bool check_rate(leat_client *c, leat_slice id)
{
    uint64_t wait_ms = leat_ws_peer_message_wait_ms(c->peer);
    leat_failure failure = {
        .code = LEAT_CODE_RATE_LIMITED,
        .message = leat_slice_of("too many messages on this connection"),
        .retry_after_ms = wait_ms < UINT32_MAX ? (uint32_t)wait_ms : UINT32_MAX,
    };
    if (wait_ms > 0)
        client_send_error(&c->base, id, none, &failure);
    return wait_ms == 0;
}

static void refuse_message(leat_client *c, leat_slice id, leat_code code, const char *message)
{
    if (code == LEAT_CODE_BAD_REQUEST)
        leat_metrics_add(c->base.core->metrics, LEAT_M_BAD_REQUESTS, 1);
    leat_failure failure = {.code = code, .message = leat_slice_of(message)};
    if (id.at == NULL && c->base.codec->needs_id)
        client_close(c, LEAT_CLOSE_UNSUPPORTED, message);
    else
        client_send_error(&c->base, id, none, &failure);
}

static void subscribe(leat_client *c, const leat_message *m)
{
    leat_failure why;
    leat_sub_request request = {
        .topic = m->topic,
        .id = m->id,
        .params = m->params,
        .since = {.epoch = m->has_since ? m->since_epoch : none, .seq = m->since_seq},
        .deadline_ms = deadline_of(c, m),
    };
    if (client_foreign_take_void(c->foreign, m->topic))
        request.since = (leat_named_position){.seq = 0};
    if (c->base.is_stream) {
        refuse_message(c, m->id, LEAT_CODE_BAD_REQUEST,
                       "a stream carries one topic: open /ws for more");
        return;
    }
    if (leat_subscribe_begin(&c->base, &request, &why) != LEAT_CODE_OK)
        client_send_error(&c->base, m->id, none, &why);
}

static void unsubscribe(leat_client *c, const leat_message *m)
{
    leat_sub *s = leat_sub_find(&c->base, m->topic);
    if (s == NULL) {
        refuse_message(c, m->id, LEAT_CODE_NOT_FOUND, "not subscribed to this topic");
        return;
    }
    leat_sub_unsubscribe(s);
    if (c->foreign != NULL)
        client_renewal_ended(c, m->topic);
    client_send_ok(&c->base, m->id, none, none);
    if (c->base.is_stream)
        client_close(c, LEAT_CLOSE_NORMAL, "unsubscribed");
}

/* --- answers --- */

static void renew_session(leat_client *c, leat_session *session)
{
    client_identity_replace(c, session);
    c->base.ops->grant_expires(
        &c->base, session->expires_at); /* the identity may expire sooner than the old one */
    leat_sub_reauthorize_all(&c->base);
}

static void answer_failure(leat_client *c, leat_slice id, const leat_failure *why)
{
    char text[512];
    leat_failure told = *why;
    snprintf(text, sizeof(text), "%.*s", (int)why->message.len,
             why->message.at == NULL ? "" : why->message.at);
    told.message = leat_slice_of(text);
    client_send_error(&c->base, id, none, &told);
}

/* A failed read or script says nothing about the identity: the client keeps the one it has. An SDK
 * of another protocol takes every error for the end; it comes back, with another token, if it is
 * told nothing but that its identity has expired. */
static void answer_not_renewed(leat_client *c, leat_slice id, const leat_failure *why)
{
    bool expired = leat_failure_is_expiry(why);
    if (!expired || c->foreign == NULL)
        answer_failure(c, id, why);
    if (!why->read_failed && why->code != LEAT_CODE_INTERNAL)
        client_close(c, expired ? LEAT_CLOSE_EXPIRED : LEAT_CLOSE_IDENTITY,
                     leat_code_name(why->code));
}

static void answer(leat_client *c, leat_op op, leat_slice id, const leat_verdict *v)
{
    bool renews = op == LEAT_OP_AUTHENTICATE;
    leat_failure why = v->failure;
    if (why.code == LEAT_CODE_OK) {
        if (renews) {
            renew_session(c, v->session);
            client_send_welcome(&c->base, id, v->written, none);
            client_plan_follow(c);
        } else {
            client_send_ok(&c->base, id, v->json, v->written);
        }
        return;
    }
    if (renews)
        answer_not_renewed(c, id, &why);
    else
        answer_failure(c, id, &why);
}

/* --- the first message of a client without an identity --- */

/* The welcome of another protocol tells of the subscriptions that the server makes. */
static void let_in(leat_client *c, leat_slice id)
{
    if (c->base.codec->write_sub != NULL) {
        client_plan_welcome(c);
        return;
    }
    client_identity_accept(c);
    client_send_welcome(&c->base, id, none, none);
    client_plan_follow(c);
}

static void answer_first(leat_client *c, leat_op op, leat_slice id, const leat_verdict *v)
{
    (void)op;
    leat_failure why = v->failure;
    if (why.code == LEAT_CODE_OK && client_identity_expired(v->session)) {
        c->base.core->script->ops->session_unref(v->session);
        why =
            (leat_failure){.code = LEAT_CODE_UNAUTHENTICATED, .message = leat_slice_of("expired")};
    }
    if (why.code == LEAT_CODE_OK) {
        client_identity_replace(c, v->session);
        let_in(c, id);
    } else {
        answer_failure(c, id, &why);
        client_identity_refuse(c, &why);
    }
}

/* err: what reading the message has come to. There is one attempt. */
static void first_message(leat_client *c, const leat_message *m, int err)
{
    uint64_t max_ms = c->base.core->limits->max_timeout_ms;
    leat_failure full;
    if (err == 0 && m->op == LEAT_OP_AUTHENTICATE && m->timeout_ms <= max_ms) {
        uint64_t deadline_ms = deadline_of(c, m);
        if (leat_admission_request(c->base.core, deadline_ms, &full)) {
            if (c->foreign != NULL)
                *client_foreign_welcome(c->foreign) =
                    client_welcome_new(m->id, m->known, deadline_ms);
            client_identity_begin(c, m, deadline_ms, answer_first);
        } else {
            client_send_error(&c->base, m->id, none, &full);
            client_identity_refuse(c, &full);
        }
        return;
    }
    full = (leat_failure){.code = LEAT_CODE_UNAUTHENTICATED};
    refuse_message(c, m->id, full.code, "the first message must be a well-formed authenticate");
    client_identity_refuse(c, &full);
}

/* --- messages --- */

static void request(leat_client *c, const leat_message *m, leat_slice subject, leat_slice body)
{
    client_request_new(c, m, subject, body, deadline_of(c, m), answer);
}

static void publish(leat_client *c, const leat_message *m)
{
    leat_failure why;
    if (leat_admission_publish(&c->base, m->topic, &why))
        request(c, m, m->topic, m->data);
    else
        client_send_error(&c->base, m->id, none, &why);
}

static void history(leat_client *c, const leat_message *m)
{
    if (c->base.codec->write_history != NULL)
        client_history_begin(c, m, deadline_of(c, m));
    else
        refuse_message(c, m->id, LEAT_CODE_NOT_FOUND, "this protocol has no history");
}

static void renew(leat_client *c, const leat_message *m)
{
    if (c->base.codec->with_token != NULL)
        client_renewal_begin(c, m, deadline_of(c, m));
    else
        refuse_message(c, m->id, LEAT_CODE_NOT_FOUND, "this protocol renews no rights");
}

static void dispatch(leat_client *c, const leat_message *m)
{
    switch (m->op) {
    case LEAT_OP_SUBSCRIBE:
        subscribe(c, m);
        return;
    case LEAT_OP_UNSUBSCRIBE:
        unsubscribe(c, m);
        return;
    case LEAT_OP_PUBLISH:
        publish(c, m);
        return;
    case LEAT_OP_CALL:
        request(c, m, m->method, m->params);
        return;
    case LEAT_OP_AUTHENTICATE:
        request(c, m, m->token, none);
        return;
    case LEAT_OP_HISTORY:
        history(c, m);
        return;
    case LEAT_OP_RENEW:
        renew(c, m);
        return;
    case LEAT_OP_ABSENT:
        refuse_message(c, m->id, LEAT_CODE_NOT_FOUND, "this server does not have that");
        return;
    case LEAT_OP_NOTHING:
        return;
    }
}

/* A caller's timeout is kept unchanged, or refused: the caller would not know of a shorter one. */
static bool check_timeout(leat_client *c, const leat_message *m)
{
    uint64_t max_ms = c->base.core->limits->max_timeout_ms;
    char text[80];
    if (m->timeout_ms <= max_ms)
        return true;
    snprintf(text, sizeof(text), "\"timeout_ms\" may be at most %" PRIu64 " here", max_ms);
    refuse_message(c, m->id, LEAT_CODE_BAD_REQUEST, text);
    return false;
}

/* Looks at the first message of a frame, and takes it off the frame's front. */
static void client_message(leat_client *c, leat_slice *frame)
{
    leat_buf scratch = LEAT_BUF_INIT;
    leat_message m;
    char reason[256];
    size_t max_values = c->base.core->limits->max_message_values;
    int err = c->base.codec->read(&m, frame, max_values, &scratch, reason, sizeof(reason));
    if (!check_rate(c, m.id)) {
        leat_buf_close(&scratch);
        return;
    }
    if (c->status == CLIENT_GUEST) {
        first_message(c, &m, err);
    } else if (err == LEAT_ETOOLARGE) {
        leat_metrics_add(c->base.core->metrics, LEAT_M_MESSAGES_TOO_LARGE, 1);
        refuse_message(c, m.id, LEAT_CODE_TOO_LARGE, reason);
    } else if (err < 0) {
        refuse_message(c, m.id, LEAT_CODE_BAD_REQUEST, reason);
    } else if (check_timeout(c, &m)) {
        dispatch(c, &m);
    }
    leat_buf_close(&scratch);
}

void client_messages(leat_client *c, leat_slice frame)
{
    client_message(c, &frame);
    while (frame.len > 0 && c->status != CLIENT_CLOSED) {
        if (!client_may_ask(c) || leat_ws_peer_had_turn(c->peer)) {
            client_foreign_keep(c->foreign, frame);
            return;
        }
        if (!leat_ws_peer_charge_message(c->peer))
            return;
        client_message(c, &frame);
    }
}
