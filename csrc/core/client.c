/* client.c - a client's life: OPEN, perhaps DRAINING, CLOSED; before that a GUEST, if its identity
 * comes with its first message (client_identity.c).
 *
 * The peer delivers messages (on_message), says when more may be sent (on_writable), and notices
 * if the other end is dead or too slow. on_timer looks after expiries, and after the end of a
 * drain. client_close (client_end.c) ends everything that the client has and lets the peer say so;
 * on_gone frees it.
 */
#include "core/client.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/container_of.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/admission.h"
#include "core/client_end.h"
#include "core/client_identity.h"
#include "core/client_message.h"
#include "core/client_plan.h"
#include "core/client_renewal.h"
#include "core/client_request.h"
#include "core/client_round.h"
#include "core/client_send.h"
#include "net/sse_peer.h"
#include "net/ws_peer.h"
#include "wire/close_code.h"

enum {
    LOOK_AGAIN_MS = 60000, /* at expiries: the wall clock may be set meanwhile */
    DRAIN_LOOK_MS = 50,
};

static void on_timer(leat_deadline *d);

/* --- as its subscriptions see it --- */

static bool takes_more(const leat_subscriber *to)
{
    return leat_peer_is_open(((const leat_client *)to)->peer);
}

static bool takes_signal(const leat_subscriber *to)
{
    return leat_peer_is_prompt(((const leat_client *)to)->peer);
}

static void awaits_signal(leat_subscriber *to)
{
    leat_peer_await_prompt(client_of(to)->peer);
}

static bool takes_snapshot(const leat_subscriber *to, size_t bytes)
{
    const leat_client *c = LEAT_CONTAINER_OF(to, const leat_client, base);
    const client_welcome *w = c->foreign == NULL ? NULL : *client_foreign_welcome(c->foreign);
    bytes += w == NULL ? 0 : w->bytes; /* they will be sent with it */
    return leat_peer_takes(c->peer, bytes) && client_round_has_room(to->core, bytes);
}

static void on_answered(leat_subscriber *to)
{
    client_update_flow(client_of(to));
}

/* Milliseconds until a time in seconds since 1970; UINT64_MAX for 0, which is never. */
static uint64_t until_ms(int64_t at_s)
{
    int64_t now_s = (int64_t)time(NULL);
    if (at_s <= 0)
        return UINT64_MAX;
    return at_s <= now_s ? 0 : (uint64_t)(at_s - now_s) * 1000;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The first expiry of the client's identity and grants. */
static uint64_t until_expiry_ms(const leat_client *c)
{
    return earlier(until_ms(c->base.session->expires_at), until_ms(leat_sub_next_expiry(&c->base)));
}

/* Milliseconds until a draining client is next looked at, if nothing expires before. */
static uint64_t drain_look_ms(const leat_client *c)
{
    uint64_t now_ms = leat_loop_now(c->base.core->loop);
    const client_timer *t = c->timer;
    if (now_ms < t->drain_at_ms)
        return t->drain_at_ms - now_ms;
    return now_ms < t->drain_until_ms ? earlier(t->drain_until_ms - now_ms, DRAIN_LOOK_MS) : 0;
}

/* in_ms: milliseconds until the first expiry; UINT64_MAX: nothing expires. */
static void arm_expiry(leat_client *c, uint64_t in_ms)
{
    bool drains = c->status == CLIENT_DRAINING;
    if (!drains && (c->status != CLIENT_OPEN || in_ms == UINT64_MAX))
        return;
    uint64_t look_ms = earlier(in_ms, drains ? drain_look_ms(c) : LOOK_AGAIN_MS);
    client_arm_timer(c, look_ms > 0 ? look_ms : 1, on_timer);
}

/* The subscription itself does not know of the new grant yet. */
static void on_grant_expires(leat_subscriber *to, int64_t at_s)
{
    leat_client *c = client_of(to);
    arm_expiry(c, earlier(until_expiry_ms(c), until_ms(at_s)));
}

static uint64_t charge_subscribe(leat_subscriber *to, const char **address)
{
    *address = leat_peer_remote(client_of(to)->peer);
    return leat_peer_use(client_of(to)->peer, LEAT_ADDRESS_SUBSCRIBE);
}

static bool is_in_crowd(const leat_subscriber *to)
{
    const leat_client *c = (const leat_client *)to;
    return leat_peer_in_crowd(c->peer, LEAT_ADDRESS_SUBSCRIBE);
}

static void end_stream(leat_subscriber *to, leat_code code)
{
    client_end_stream(client_of(to), code);
}

static const leat_subscriber_ops subscriber_ops = {
    .snapshot = client_send_snapshot,
    .resumed = client_send_resumed,
    .event = client_send_event,
    .run = client_send_run,
    .refused = client_send_error,
    .closed = client_send_closed,
    .takes_more = takes_more,
    .takes_signal = takes_signal,
    .awaits_signal = awaits_signal,
    .takes_snapshot = takes_snapshot,
    .charge_subscribe = charge_subscribe,
    .is_in_crowd = is_in_crowd,
    .answered = on_answered,
    .grant_expires = on_grant_expires,
    .stream_ended = end_stream,
};

/* As takes_more, for a protocol that encodes events of its own: nothing is sent before the welcome.
 */
static bool foreign_takes_more(const leat_subscriber *to)
{
    const leat_client *c = (const leat_client *)to;
    return leat_peer_is_open(c->peer) && !client_is_guest(c);
}

static void on_granted(leat_subscriber *to, leat_slice topic, int64_t until_s)
{
    client_renewal_granted(client_of(to), topic, until_s);
}

static void foreign_closed(leat_subscriber *to, leat_slice topic, const leat_failure *failure)
{
    client_send_closed(to, topic, failure);
    client_renewal_ended(client_of(to), topic);
}

static const leat_subscriber_ops foreign_ops = {
    .snapshot = client_send_snapshot,
    .resumed = client_send_resumed,
    .event = client_send_event_form,
    .run = client_send_run,
    .refused = client_send_error,
    .granted = on_granted,
    .closed = foreign_closed,
    .takes_more = foreign_takes_more,
    .takes_signal = takes_signal,
    .awaits_signal = awaits_signal,
    .takes_snapshot = takes_snapshot,
    .charge_subscribe = charge_subscribe,
    .is_in_crowd = is_in_crowd,
    .answered = on_answered,
    .grant_expires = on_grant_expires,
    .stream_ended = end_stream,
};

/* --- as its peer sees it --- */

static void on_message(void *owner, bool binary, leat_slice payload)
{
    leat_client *c = owner;
    if (binary != c->base.codec->binary) {
        client_close(c, LEAT_CLOSE_UNSUPPORTED,
                     binary ? "this protocol is text messages"
                            : "this protocol is binary messages");
        return;
    }
    c->heard_ms = leat_loop_now(c->base.core->loop);
    c->has_spoken = true;
    client_messages(c, payload);
    client_update_flow(c);
}

/* A frame's messages that had to wait. The frame was counted when its first message was. */
static bool on_rest(void *owner, leat_slice frame)
{
    leat_client *c = owner;
    leat_ws_peer_begin_turn(c->peer);
    if (leat_ws_peer_charge_message(c->peer))
        client_messages(c, frame);
    client_update_flow(c);
    return c->status != CLIENT_CLOSED;
}

/* Repeats the code and the reason (RFC 6455 §5.5.1). */
static void on_close(void *owner, int code, leat_slice reason)
{
    leat_client *c = owner;
    char text[128];
    snprintf(text, sizeof(text), "%.*s", (int)reason.len, reason.at == NULL ? "" : reason.at);
    bool too_large = reason.at == NULL && code == LEAT_CLOSE_TOO_BIG;
    client_end(c);
    leat_ws_peer_answer(c->peer, too_large ? "message too large" : text);
}

static void on_writable(void *owner)
{
    leat_client *c = owner;
    client_update_flow(c);
    leat_sub_move_all(&c->base);
}

static void on_slow(void *owner)
{
    leat_client *c = owner;
    leat_metrics_add(c->base.core->metrics, LEAT_M_SLOW_CLOSED, 1);
    LEAT_LOG_INFO("client", "closed reason=slow remote=%s unsent=%zu", leat_peer_remote(c->peer),
                  leat_peer_queued(c->peer));
    client_close(c, LEAT_CLOSE_TOO_SLOW, "too slow");
}

static void on_gone(void *owner, int err)
{
    leat_client *c = owner;
    leat_core *core = c->base.core;
    if (c->status != CLIENT_CLOSED)
        LEAT_LOG_DEBUG("client", "gone err=%s", err == 0 ? "-" : uv_err_name(err));
    client_end(c);
    leat_peer_free(c->peer);
    leat_admission_leave(&c->base);
    core->script->ops->session_unref(c->base.session);
    leat_map_close(&c->base.subs);
    leat_list_unlink(&c->link);
    core->n_clients--;
    client_round_end(core);
    leat_metrics_add(core->metrics, LEAT_M_CONNECTIONS, -1);
    leat_metrics_add(core->metrics, c->base.codec->clients, -1);
    leat_pool_give(leat_loop_pool(core->loop), c);
    leat_core_check_empty(core);
}

static const leat_allowance *allowance(void *owner)
{
    const leat_client *c = owner;
    return leat_session_allowance(c->base.session, &c->base.core->limits->allowance);
}

static const leat_peer_handler peer_handler = {on_message, on_close, on_writable,
                                               on_slow,    on_gone,  allowance};

/* --- beginning --- */

static leat_peer *open_peer(leat_client *c, leat_opening *opening, leat_transport transport)
{
    leat_core *core = c->base.core;
    if (transport != LEAT_TRANSPORT_SSE)
        return leat_ws_peer_new(opening, &core->net, &peer_handler, c);
    leat_buf_close(&opening->rest); /* a request whose answer never ends has nothing behind it */
    return leat_sse_peer_new(opening->conn, opening->alive_ms, &core->net, &peer_handler, c);
}

static void become_foreign(leat_client *c)
{
    c->base.ops = &foreign_ops;
    c->foreign = client_foreign_new(c->base.core, on_rest, c);
    if (c->base.codec->binary)
        leat_ws_peer_set_binary(c->peer);
}

leat_client *leat_client_new(leat_core *core, leat_opening *opening, leat_transport transport,
                             const leat_codec *codec, leat_session *session)
{
    leat_client *c = leat_pool_take(leat_loop_pool(core->loop), sizeof(*c));
    c->base.ops = &subscriber_ops;
    c->base.core = core;
    c->base.codec = codec;
    c->base.session = session;
    c->base.is_stream = transport != LEAT_TRANSPORT_WS;
    leat_map_init(&c->base.subs);
    c->heard_ms = leat_loop_now(core->loop);
    leat_list_push(&core->clients, &c->link);
    core->n_clients++;
    client_round_begin(core);
    leat_metrics_add(core->metrics, LEAT_M_CONNECTIONS, 1);
    leat_metrics_add(core->metrics, codec->clients, 1);
    c->peer = open_peer(c, opening, transport);
    leat_admission_join(&c->base);
    if (codec->event != NULL)
        become_foreign(c);
    arm_expiry(c, until_ms(session->expires_at));
    if (transport == LEAT_TRANSPORT_WS)
        client_plan_follow(c);
    return c;
}

leat_client *leat_client_new_guest(leat_core *core, leat_opening *opening, const leat_codec *codec,
                                   leat_session *session, leat_guest_cb on_end, void *arg)
{
    leat_client *c = leat_client_new(core, opening, LEAT_TRANSPORT_WS, codec, session);
    client_identity_await(c, on_end, arg);
    return c;
}

void leat_client_stream(leat_client *c, const leat_sub_request *request)
{
    leat_sub_begin(&c->base, request);
}

/* --- time --- */

static void close_draining(leat_client *c)
{
    leat_core *core = c->base.core;
    char reason[48];
    snprintf(reason, sizeof(reason), "retry_after_ms=%" PRIu64,
             leat_random_below(leat_loop_random(core->loop), core->limits->drain_ms + 1));
    client_close(c, LEAT_CLOSE_GOING_AWAY, reason);
}

static bool drain_is_over(const leat_client *c)
{
    uint64_t now_ms = leat_loop_now(c->base.core->loop);
    bool due = now_ms >= c->timer->drain_at_ms && c->base.n_inflight == 0;
    return due || now_ms >= c->timer->drain_until_ms;
}

static void on_timer(leat_deadline *d)
{
    leat_client *c = client_of_timer(d);
    switch ((client_status)c->status) {
    case CLIENT_OPEN:
    case CLIENT_DRAINING:
        leat_sub_reauthorize_expired(&c->base, (int64_t)time(NULL));
        if (until_ms(c->base.session->expires_at) == 0)
            client_close(c, LEAT_CLOSE_EXPIRED, "identity expired");
        else if (c->status == CLIENT_DRAINING && drain_is_over(c))
            close_draining(c);
        else
            arm_expiry(c, until_expiry_ms(c));
        return;
    case CLIENT_GUEST: /* has a callback of its own */
    case CLIENT_IDENTIFYING:
    case CLIENT_CLOSED:
        return;
    }
}

static void drain(leat_client *c, uint64_t deadline_ms)
{
    leat_loop *loop = c->base.core->loop;
    uint64_t now_ms = leat_loop_now(loop);
    if (c->status == CLIENT_CLOSED)
        return;
    if (client_is_guest(c)) {
        close_draining(c);
        return;
    }
    client_set_status(c, CLIENT_DRAINING);
    if (deadline_ms <= now_ms) {
        close_draining(c);
        return;
    }
    client_timer *t = client_timer_of(c);
    t->drain_at_ms = now_ms + leat_random_below(leat_loop_random(loop), deadline_ms - now_ms);
    t->drain_until_ms = deadline_ms;
    arm_expiry(c, until_expiry_ms(c));
}

void leat_client_drain_all(leat_core *core, uint64_t deadline_ms)
{
    for (leat_list *l = core->clients.next, *next = l->next; l != &core->clients;
         l = next, next = l->next)
        drain(LEAT_CONTAINER_OF(l, leat_client, link), deadline_ms);
}
