/* A handshake's course: the request is checked (`check_upgrade`), the connect handler runs
 * (on_connected; public routes skip it), then, by goal: a client is opened; a stream's topic is
 * authorised (on_authorized) and its client opened; a route's body is read, if there is one
 * (on_body), and its handler answers (on_answered); or a raw socket is opened. The scripts that it
 * began with see it through, whatever a reload brings. */
#include "http/http_handshake.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "core/admission.h"
#include "core/client.h"
#include "http/http_answer.h"
#include "http/http_compress.h"
#include "http/http_guest.h"
#include "http/http_refusal.h"
#include "http/http_stream.h"
#include "wire/centrifuge.h"
#include "wire/leat_v1.h"
#include "wire/request_id.h"
#include "wire/upgrade.h"

#define WEBSOCKET_ONLY "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"

enum goal { GOAL_CLIENT, GOAL_GUEST, GOAL_STREAM_WS, GOAL_STREAM_SSE, GOAL_ROUTE, GOAL_RAW };

struct handshake {
    leat_http_conn *conn;
    leat_http_side *side;
    leat_script *script; /* held */
    leat_call call;
    leat_session *session; /* NULL before the guard, and on public routes */
    leat_route_match match;
    leat_upgrade upgrade;
    const leat_codec *codec; /* of the client */
    enum goal goal;
    uint64_t deadline_ms;
    leat_buf params; /* of a stream: JSON */
    leat_buf epoch;  /* what since points into */
    leat_named_position since;
    leat_topic_mark seen; /* of a stream: when the topic's handler began */
};

static struct handshake *make(leat_http_conn *c, const leat_route_match *match, enum goal goal,
                              const leat_upgrade *upgrade);
static void begin(struct handshake *h);
static void start(leat_http_conn *c, const leat_route_match *match, enum goal goal,
                  const leat_upgrade *upgrade);
static void refuse(struct handshake *h, int status, leat_code code, leat_slice message,
                   uint32_t retry_after_ms);
static void refuse_stopping(struct handshake *h);
static void on_connected(leat_call *call, const leat_verdict *verdict);
static void go_on(struct handshake *h);
static void on_authorized(leat_call *call, const leat_verdict *verdict);
static void on_answered(leat_call *call, const leat_route_answer *answer);
static void open_client(struct handshake *h);
static void open_guest(struct handshake *h);
static void open_stream(struct handshake *h, leat_grant *grant);
static void open_raw(struct handshake *h);
static void on_body(void *arg);
static void on_cancel(void *arg);

/* --- before the scripts --- */

/* Browsers send an Origin, and let any page open a WebSocket with its visitor's cookies (RFC 6455
 * §10.2) or post a form. Returns false if the request was refused. */
bool leat_http_handshake_check_origin(leat_http_conn *c)
{
    const leat_http_request *r = leat_http_conn_request(c);
    const char *list = leat_http_conn_side(c)->options->allowed_origins;
    if (leat_http_peer_origin(leat_http_conn_peer(c), r, list) != LEAT_HTTP_ORIGIN_REFUSED)
        return true;
    char quoted[128];
    leat_slice origin = leat_http_find(r, "origin");
    leat_slice host = leat_http_peer_host(leat_http_conn_peer(c), r);
    char quoted_host[128];
    LEAT_LOG_INFO("http", "origin refused origin=%s host=%s remote=%s",
                  leat_log_quote(quoted, sizeof(quoted), origin.at, origin.len),
                  leat_log_quote(quoted_host, sizeof(quoted_host), host.at, host.len),
                  leat_http_conn_remote(c));
    leat_metrics_add(leat_http_conn_side(c)->metrics, LEAT_M_ORIGINS_REFUSED, 1);
    leat_http_answer_refusal(
        c, 403, "forbidden",
        leat_slice_of("pages of this origin may not do that (allowed_origins)"), 0, NULL);
    return false;
}

/* Returns false if the request was refused: it is no WebSocket handshake, or a forbidden one. */
static bool check_upgrade(leat_http_conn *c, leat_upgrade *upgrade)
{
    const leat_http_request *r = leat_http_conn_request(c);
    const char *reason = "this path is for WebSockets";
    int status = leat_slice_is(r->method, "GET") && !leat_upgrade_wanted(r)
                     ? 426
                     : leat_upgrade_check(r, upgrade, &reason);
    if (status == 0)
        return leat_http_handshake_check_origin(c);
    const char *extra = status == 426 ? WEBSOCKET_ONLY : status == 405 ? "Allow: GET\r\n" : NULL;
    leat_http_answer_refusal(c, status, "bad_request", leat_slice_of(reason), 0, extra);
    return false;
}

void leat_http_handshake_client(leat_http_conn *c)
{
    leat_upgrade upgrade;
    leat_route_match match = {.kind = LEAT_ROUTE_NONE};
    if (!check_upgrade(c, &upgrade))
        return;
    switch (leat_http_guest_asks(c)) {
    case LEAT_HTTP_GUEST_NOT:
        start(c, &match, GOAL_CLIENT, &upgrade);
        break;
    case LEAT_HTTP_GUEST_WELCOME:
        start(c, &match, GOAL_GUEST, &upgrade);
        break;
    case LEAT_HTTP_GUEST_REFUSED:
        break;
    }
}

static bool query_says(leat_slice query, const char *name, const char *wanted)
{
    leat_buf value = LEAT_BUF_INIT;
    bool says = query.at != NULL && leat_http_query_get(query, name, &value) &&
                leat_slice_is(leat_buf_view(&value), wanted);
    leat_buf_close(&value);
    return says;
}

/* A client that cannot name a subprotocol says it in the query. */
static const leat_codec *centrifuge_codec(const leat_http_request *r)
{
    bool proto = leat_upgrade_offers(r, leat_centrifuge_proto.name) ||
                 query_says(r->query, "cf_protocol", "protobuf") ||
                 query_says(r->query, "format", "protobuf");
    return proto ? &leat_centrifuge_proto : &leat_centrifuge_json;
}

void leat_http_handshake_centrifuge(leat_http_conn *c)
{
    leat_upgrade upgrade;
    leat_route_match match = {.kind = LEAT_ROUTE_NONE};
    if (!check_upgrade(c, &upgrade) || leat_http_guest_admit(c) != LEAT_HTTP_GUEST_WELCOME)
        return;
    struct handshake *h = make(c, &match, GOAL_GUEST, &upgrade);
    h->codec = centrifuge_codec(leat_http_conn_request(c));
    begin(h);
}

/* Methods that change nothing (RFC 9110 §9.2.1): the page that sent them cannot read the answer. */
static bool is_safe(const leat_http_request *r)
{
    return leat_slice_is(r->method, "GET") || leat_slice_is(r->method, "HEAD") ||
           leat_slice_is(r->method, "OPTIONS");
}

void leat_http_handshake_route(leat_http_conn *c, const leat_route_match *match)
{
    leat_upgrade upgrade = {0};
    const leat_http_request *r = leat_http_conn_request(c);
    bool sse = match->kind == LEAT_ROUTE_STREAM && !leat_upgrade_wanted(r) &&
               leat_http_stream_wants_sse(r);
    if (match->kind == LEAT_ROUTE_HTTP) {
        if (match->is_public || is_safe(r) || leat_http_handshake_check_origin(c))
            start(c, match, GOAL_ROUTE, &upgrade);
    } else if (sse) {
        if (leat_http_handshake_check_origin(c))
            start(c, match, GOAL_STREAM_SSE, &upgrade);
    } else if (check_upgrade(c, &upgrade))
        start(c, match, match->kind == LEAT_ROUTE_STREAM ? GOAL_STREAM_WS : GOAL_RAW, &upgrade);
}

/* --- the guard --- */

static bool is_stream(const struct handshake *h)
{
    return h->goal == GOAL_STREAM_WS || h->goal == GOAL_STREAM_SSE;
}

/* Reads the request before any handler runs, so that no handler runs for a request that cannot be
 * answered. */
static int read_stream_request(struct handshake *h, const char **reason)
{
    const leat_http_request *r = leat_http_conn_request(h->conn);
    int err = leat_http_stream_params(r, &h->params, reason);
    return err < 0 ? err
                   : leat_http_stream_since(r, h->goal == GOAL_STREAM_SSE, &h->epoch, &h->since,
                                            reason);
}

static void set_deadline(struct handshake *h)
{
    h->deadline_ms = leat_control_deadline(LEAT_DEADLINE_NEVER, leat_loop_now(h->side->loop),
                                           h->side->limits->control_timeout_ms);
}

static struct handshake *make(leat_http_conn *c, const leat_route_match *match, enum goal goal,
                              const leat_upgrade *upgrade)
{
    leat_http_side *side = leat_http_conn_side(c);
    struct handshake *h = leat_pool_take(leat_loop_pool(side->loop), sizeof(*h));
    h->conn = c;
    h->side = side;
    h->script = side->core->script;
    h->script->ops->hold(h->script);
    h->match = *match;
    h->goal = goal;
    h->upgrade = *upgrade;
    h->codec = &leat_v1_codec;
    set_deadline(h);
    h->call = (leat_call){.cb = on_connected, .data = h};
    return h;
}

static void start(leat_http_conn *c, const leat_route_match *match, enum goal goal,
                  const leat_upgrade *upgrade)
{
    begin(make(c, match, goal, upgrade));
}

static void begin(struct handshake *h)
{
    leat_http_conn *c = h->conn;
    leat_http_side *side = h->side;
    enum goal goal = h->goal;
    leat_http_conn_set_task(c, (leat_http_task){.cancel = on_cancel, .on_body = on_body, .arg = h});
    leat_failure refusal;
    bool admitted = leat_admission_request(side->core, h->deadline_ms, &refusal);
    leat_admission_under_way(side->core, NULL);
    const char *reason = NULL;
    if (side->draining)
        refuse_stopping(h);
    else if (!admitted)
        refuse(h, 503, refusal.code, refusal.message, refusal.retry_after_ms);
    else if (is_stream(h) && read_stream_request(h, &reason) < 0) {
        refuse(h, 400, LEAT_CODE_BAD_REQUEST, leat_slice_of(reason), 0);
    } else if (h->match.is_public || goal == GOAL_GUEST) {
        if (is_stream(h) || goal == GOAL_GUEST)
            h->session = h->script->routes->guest(h->script, leat_http_conn_request(c),
                                                  leat_http_conn_remote(c));
        go_on(h);
    } else {
        h->script->ops->connect(h->script, &h->call, leat_http_conn_request(c),
                                leat_http_conn_remote(c), NULL, (leat_slice){NULL, 0},
                                h->deadline_ms);
    }
}

static void free_handshake(struct handshake *h)
{
    if (h->session != NULL)
        h->script->ops->session_unref(h->session);
    leat_buf_close(&h->params);
    leat_buf_close(&h->epoch);
    h->script->ops->drop(h->script);
    leat_admission_over(h->side->core, NULL);
    leat_pool_give(leat_loop_pool(h->side->loop), h);
}

static void on_cancel(void *arg)
{
    struct handshake *h = arg;
    h->script->ops->cancel(&h->call);
    if (is_stream(h))
        leat_metrics_add(h->side->metrics, LEAT_M_HANDSHAKES_GONE, 1);
    free_handshake(h);
}

/* A refusal is no fault of the server: it gets one line of the log and a counter. Of an identity it
 * says why; other messages may repeat what the client sent. */
static void log_refusal(const struct handshake *h, leat_code code, int status, leat_slice message)
{
    leat_slice path = leat_http_conn_request(h->conn)->path;
    char quoted[160], reason[128], why[160] = "";
    if (message.len == 0)
        message = leat_slice_of(leat_code_sentence(code));
    if (code == LEAT_CODE_UNAUTHENTICATED)
        snprintf(why, sizeof(why), " why=%s",
                 leat_log_quote(reason, sizeof(reason), message.at, message.len));
    leat_log_subject before = leat_log_about(leat_request_id(leat_http_conn_request(h->conn)));
    LEAT_LOG_INFO("http", "refused path=%s status=%d code=%s%s remote=%s",
                  leat_log_quote(quoted, sizeof(quoted), path.at, path.len), status,
                  leat_code_name(code), why, leat_http_conn_remote(h->conn));
    leat_log_about_end(&before);
}

static void refuse(struct handshake *h, int status, leat_code code, leat_slice message,
                   uint32_t retry_after_ms)
{
    leat_http_conn *c = h->conn;
    if ((status == 503 || status == 429) && retry_after_ms == 0)
        retry_after_ms = leat_admission_retry_ms(h->side->core);
    leat_metrics_add(h->side->metrics, leat_http_refusal_metric(code), 1);
    log_refusal(h, code, status, message);
    bool comes_back = h->goal == GOAL_STREAM_SSE && retry_after_ms > 0 &&
                      leat_http_stream_is_event_source(leat_http_conn_request(c));
    if (comes_back)
        leat_http_answer_refusal_sse(c, leat_code_name(code), message, retry_after_ms);
    else
        leat_http_answer_refusal(c, status, leat_code_name(code), message, retry_after_ms,
                                 status == 401 ? "WWW-Authenticate: Bearer\r\n" : NULL);
    free_handshake(h);
}

/* A handshake that was under way when the server began to stop ends before it becomes a client. */
static void refuse_stopping(struct handshake *h)
{
    refuse(h, 503, LEAT_CODE_UNAVAILABLE, leat_slice_of("the server is stopping"), 0);
}

static void let_in(struct handshake *h)
{
    leat_http_conn_let_in(h->conn);
    go_on(h);
}

static void on_connected(leat_call *call, const leat_verdict *verdict)
{
    struct handshake *h = call->data;
    h->session = verdict->session;
    const leat_failure *why = &verdict->failure;
    if (why->code != LEAT_CODE_OK)
        refuse(h, leat_http_refusal_connect_status(why->code), why->code, why->message,
               why->retry_after_ms);
    else if (h->session->expires_at > 0 && h->session->expires_at <= (int64_t)time(NULL))
        refuse(h, 401, LEAT_CODE_UNAUTHENTICATED, leat_slice_of("the identity has expired"), 0);
    else if (h->side->draining)
        refuse_stopping(h);
    else
        let_in(h);
}

/* --- what the guard let pass --- */

static void authorize(struct handshake *h)
{
    h->call = (leat_call){.cb = on_authorized, .data = h};
    h->seen = leat_topic_mark_now(h->side->core, leat_slice_of(h->match.topic));
    h->script->ops->authorize(h->script, &h->call, h->session, leat_slice_of(h->match.topic),
                              leat_buf_view(&h->params), h->deadline_ms);
}

static void run_route(struct handshake *h)
{
    h->call = (leat_call){.data = h};
    h->script->routes->run(h->script, &h->call, h->match.route, h->session,
                           leat_http_conn_request(h->conn), leat_http_conn_remote(h->conn),
                           h->deadline_ms, on_answered);
}

static void go_on(struct handshake *h)
{
    switch (h->goal) {
    case GOAL_CLIENT:
        open_client(h);
        break;
    case GOAL_GUEST:
        open_guest(h);
        break;
    case GOAL_STREAM_WS:
    case GOAL_STREAM_SSE:
        authorize(h);
        break;
    case GOAL_ROUTE:
        if (leat_http_conn_request(h->conn)->has_body)
            leat_http_conn_read_body(h->conn);
        else
            run_route(h);
        break;
    case GOAL_RAW:
        open_raw(h);
        break;
    }
}

/* The client's time for the body does not count: the handler's deadline begins now. */
static void on_body(void *arg)
{
    struct handshake *h = arg;
    set_deadline(h);
    if (h->side->draining)
        refuse_stopping(h);
    else
        run_route(h);
}

static void on_answered(leat_call *call, const leat_route_answer *answer)
{
    struct handshake *h = call->data;
    leat_http_conn *c = h->conn;
    leat_buf text = LEAT_BUF_INIT;
    /* Two C strings in one buffer: the type, then the headers. */
    leat_buf_slice(&text, answer->content_type);
    leat_buf_char(&text, '\0');
    size_t headers_at = text.len;
    leat_buf_slice(&text, answer->headers);
    leat_buf_char(&text, '\0');
    leat_http_compress_answer(c, answer->status, answer->content_type.len > 0 ? text.at : NULL,
                              text.at + headers_at, answer->body);
    leat_buf_close(&text);
    free_handshake(h);
}

static void on_authorized(leat_call *call, const leat_verdict *verdict)
{
    struct handshake *h = call->data;
    const leat_failure *why = &verdict->failure;
    leat_failure full;
    if (why->code != LEAT_CODE_OK) {
        refuse(h, leat_http_status_of(why->code), why->code, why->message, why->retry_after_ms);
    } else if (h->side->draining) {
        h->script->ops->grant_free(verdict->grant);
        refuse_stopping(h);
    } else if (!leat_admission_stream(h->side->core, h->session, &full)) {
        h->script->ops->grant_free(verdict->grant);
        refuse(h, leat_http_status_of(full.code), full.code, full.message, full.retry_after_ms);
    } else {
        open_stream(h, verdict->grant);
    }
}

/* --- opening --- */

/* Takes the socket and queues the head of the response on it. */
static leat_opening leave_http(struct handshake *h, leat_buf *head)
{
    leat_opening opening = {.window_bits = 0};
    opening.conn = leat_http_conn_detach(h->conn, &opening.rest);
    leat_conn_send_owned(opening.conn, head);
    return opening;
}

/* Answers 101, with permessage-deflate if the client offers it and the server has it. */
static leat_opening switch_protocols(struct handshake *h, const char *subprotocol)
{
    leat_buf head = LEAT_BUF_INIT;
    leat_deflate_terms terms = h->upgrade.deflate;
    if (h->side->core->net.deflate == NULL)
        terms.window_bits = 0;
    leat_upgrade_write_accept(&head, h->side->accept, h->upgrade.key, subprotocol,
                              terms.window_bits > 0 ? &terms : NULL);
    leat_opening opening = leave_http(h, &head);
    opening.window_bits = terms.window_bits;
    return opening;
}

/* Only what was offered may be answered. */
static const char *subprotocol_of(const struct handshake *h)
{
    const char *name = h->codec->name;
    return leat_upgrade_offers(leat_http_conn_request(h->conn), name) ? name : NULL;
}

static leat_session *take_session(struct handshake *h)
{
    leat_session *session = h->session;
    h->session = NULL;
    return session;
}

static void open_client(struct handshake *h)
{
    leat_opening opening = switch_protocols(h, subprotocol_of(h));
    (void)leat_client_new(h->side->core, &opening, LEAT_TRANSPORT_WS, h->codec, take_session(h));
    free_handshake(h);
}

/* The connect handler runs when the first message has brought the token. */
static void open_guest(struct handshake *h)
{
    leat_http_guest *guest = leat_http_guest_new(h->conn);
    leat_opening opening = switch_protocols(h, subprotocol_of(h));
    (void)leat_client_new_guest(h->side->core, &opening, h->codec, take_session(h),
                                leat_http_guest_end, guest);
    free_handshake(h);
}

static leat_opening begin_sse(struct handshake *h)
{
    leat_buf head = LEAT_BUF_INIT;
    leat_http_answer_sse_head(h->conn, &head);
    return leave_http(h, &head);
}

static void open_stream(struct handshake *h, leat_grant *grant)
{
    bool sse = h->goal == GOAL_STREAM_SSE;
    leat_opening opening = sse ? begin_sse(h) : switch_protocols(h, subprotocol_of(h));
    leat_transport transport = sse ? LEAT_TRANSPORT_SSE : LEAT_TRANSPORT_WS_STREAM;
    leat_client *client =
        leat_client_new(h->side->core, &opening, transport, h->codec, take_session(h));
    leat_client_stream(client, &(leat_sub_request){
                                   .topic = leat_slice_of(h->match.topic),
                                   .params = leat_buf_view(&h->params),
                                   .since = h->since,
                                   .deadline_ms = h->deadline_ms,
                                   .grant = grant,
                                   .seen = h->seen,
                               });
    free_handshake(h);
}

static void open_raw(struct handshake *h)
{
    const leat_http_request *r = leat_http_conn_request(h->conn);
    leat_opening opening = switch_protocols(h, NULL);
    h->script->routes->open_socket(h->script, h->match.route, take_session(h), &opening, r);
    free_handshake(h);
}
