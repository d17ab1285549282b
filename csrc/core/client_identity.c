/* client_identity.c - client_identity_await -> (the first message) -> client_identity_begin -> the
 * connect handler -> _accept or _refuse. If no message comes, on_late closes the client. */
#include "core/client_identity.h"

#include <stdlib.h>
#include <time.h>

#include "base/container_of.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/admission.h"
#include "core/client_end.h"
#include "net/ws_peer.h"
#include "wire/close_code.h"

/* Of one read: little waits behind a first message. */
enum { GUEST_READ_BYTES = 4096 };

static void count(leat_client *c, leat_metric outcome)
{
    leat_metrics_add(c->base.core->metrics, outcome, 1);
}

static void on_late(leat_deadline *d)
{
    leat_client *c = client_of_timer(d);
    count(c, LEAT_M_AUTHENTICATION_LATE);
    LEAT_LOG_INFO("client", "closed reason=no_token remote=%s", leat_peer_remote(c->peer));
    client_close(c, LEAT_CLOSE_DEADLINE, "no token came in time");
}

void client_identity_await(leat_client *c, void (*on_end)(void *arg), void *arg)
{
    leat_core *core = c->base.core;
    client_set_status(c, CLIENT_GUEST);
    client_busy *busy = client_busy_of(c);
    busy->on_guest_end = on_end;
    busy->on_guest_end_arg = arg;
    leat_metrics_add(core->metrics, LEAT_M_UNAUTHENTICATED, 1);
    leat_ws_peer_set_max_message(c->peer, core->limits->max_first_message_bytes);
    leat_conn_set_read_size(c->peer->conn, GUEST_READ_BYTES);
    client_arm_timer(c, core->limits->authenticate_timeout_ms, on_late);
}

void client_identity_begin(leat_client *c, const leat_message *m, uint64_t deadline_ms,
                           client_answer_cb answer)
{
    client_set_status(c, CLIENT_IDENTIFYING);
    client_cancel_timer(c); /* the handler has a deadline of its own */
    client_request_new(c, m, m->token, (leat_slice){NULL, 0}, deadline_ms, answer);
}

bool client_identity_expired(const leat_session *session)
{
    return session->expires_at > 0 && session->expires_at <= (int64_t)time(NULL);
}

void client_identity_replace(leat_client *c, leat_session *session)
{
    leat_core *core = c->base.core;
    leat_admission_leave(&c->base);
    core->script->ops->session_unref(c->base.session);
    c->base.session = session;
    leat_admission_join(&c->base);
}

void client_identity_accept(leat_client *c)
{
    count(c, LEAT_M_AUTHENTICATED);
    leat_ws_peer_set_max_message(c->peer, 0);
    leat_conn_set_read_size(c->peer->conn, 0);
    client_set_status(c, CLIENT_OPEN);
    c->base.ops->grant_expires(&c->base, c->base.session->expires_at);
}

/* A refusal is no fault of the server: it gets one line of the log and a counter. */
void client_identity_refuse(leat_client *c, const leat_failure *why)
{
    leat_code code = why->code;
    int close_code = leat_failure_is_expiry(why) ? LEAT_CLOSE_EXPIRED : client_close_code(code);
    count(c, LEAT_M_AUTHENTICATION_REFUSED);
    leat_slice message =
        why->message.len > 0 ? why->message : leat_slice_of(leat_code_sentence(code));
    char quoted[128];
    LEAT_LOG_INFO("client", "refused code=%s why=%s remote=%s", leat_code_name(code),
                  leat_log_quote(quoted, sizeof(quoted), message.at, message.len),
                  leat_peer_remote(c->peer));
    client_close(c, close_code == LEAT_CLOSE_NORMAL ? LEAT_CLOSE_IDENTITY : close_code,
                 leat_code_name(code));
}
