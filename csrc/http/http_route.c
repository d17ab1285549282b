/* http_route.c - leat_http_route counts the request for its client and its address and checks
 * its host, before `answer` looks at the path: the server's own endpoints, the script's routes,
 * files. */
#include "http/http_route.h"

#include "base/log.h"
#include "http/http_answer.h"
#include "http/http_handshake.h"
#include "http/http_headers.h"
#include "http/http_health.h"
#include "http/http_host.h"
#include "http/http_static.h"
#include "http/http_stream.h"

enum { LEAST_RETRY_MS = 1000 };

struct endpoint {
    const char *path;
    void (*answer)(leat_http_conn *c);
    bool at_all_doors;
};

static const struct endpoint endpoints[] = {
    {"/ws", leat_http_handshake_client, false},
    {"/healthz", leat_http_health_alive, true},
    {"/readyz", leat_http_health_ready, true},
    {"/metrics", leat_http_health_metrics, true},
};

static void find_route(leat_http_conn *c, leat_slice method, leat_slice path,
                       leat_route_match *match)
{
    leat_script *script = leat_http_conn_side(c)->core->script;
    script->routes->match(script, method, path, match);
}

/* HEAD is GET without a body, where a script says nothing else. */
static void match_method(leat_http_conn *c, leat_slice method, leat_route_match *match)
{
    leat_slice path = leat_http_conn_request(c)->path;
    find_route(c, method, path, match);
    if (match->kind == LEAT_ROUTE_NONE && match->path_known && leat_slice_is(method, "HEAD")) {
        find_route(c, leat_slice_of("GET"), path, match);
        if (match->kind != LEAT_ROUTE_HTTP)
            *match = (leat_route_match){.kind = LEAT_ROUTE_NONE, .path_known = true};
    }
}

/* Appends the methods that a path answers. */
static void list_methods(leat_http_conn *c, leat_buf *out)
{
    static const char *const methods[] = {"GET",   "HEAD",   "POST",   "PUT",
                                          "PATCH", "DELETE", "OPTIONS"};
    bool any = false;
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        leat_route_match match;
        match_method(c, leat_slice_of(methods[i]), &match);
        if (match.kind == LEAT_ROUTE_NONE)
            continue;
        leat_buf_text(out, any ? ", " : "");
        leat_buf_text(out, methods[i]);
        any = true;
    }
}

static void refuse_method(leat_http_conn *c)
{
    leat_buf allow = LEAT_BUF_INIT;
    leat_buf_text(&allow, "Allow: "); /* RFC 9110 §15.5.6 */
    list_methods(c, &allow);
    leat_buf_append(&allow, "\r\n", 3);
    leat_http_answer_refusal(c, 405, "bad_request",
                             leat_slice_of("this path does not answer that method"), 0, allow.at);
    leat_buf_close(&allow);
}

/* No guard runs: a browser sends a preflight without the credentials of the request that it asks
 * for. */
static void answer_preflight(leat_http_conn *c)
{
    if (!leat_http_handshake_check_origin(c))
        return;
    leat_buf methods = LEAT_BUF_INIT;
    leat_buf lines = LEAT_BUF_INIT;
    list_methods(c, &methods);
    leat_http_headers_write_preflight(&lines, c, leat_buf_view(&methods));
    leat_buf_char(&lines, '\0');
    leat_http_answer(c, 204, NULL, lines.at, leat_slice_of(""));
    leat_buf_close(&methods);
    leat_buf_close(&lines);
}

static void answer_by_path(leat_http_conn *c)
{
    leat_route_match match;
    match_method(c, leat_http_conn_request(c)->method, &match);
    if (match.kind != LEAT_ROUTE_NONE || match.path_known)
        leat_http_conn_share(c);
    if (match.kind != LEAT_ROUTE_NONE)
        leat_http_handshake_route(c, &match);
    else if (match.path_known && leat_http_headers_is_preflight(leat_http_conn_request(c)))
        answer_preflight(c);
    else if (leat_http_conn_side(c)->draining)
        leat_http_answer_refusal(c, 503, "unavailable", leat_slice_of("the server is stopping"),
                                 1000, NULL);
    else if (match.path_known)
        refuse_method(c);
    else
        leat_http_static_answer(c);
}

static void answer(leat_http_conn *c)
{
    const leat_http_request *r = leat_http_conn_request(c);
    for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++)
        if (leat_slice_is(r->path, endpoints[i].path) &&
            (endpoints[i].at_all_doors || leat_http_conn_door(c) != LEAT_HTTP_DOOR_METRICS)) {
            endpoints[i].answer(c);
            return;
        }
    if (leat_http_conn_door(c) == LEAT_HTTP_DOOR_METRICS)
        leat_http_answer_absent(c);
    else if (leat_slice_is(r->path, leat_http_conn_side(c)->options->centrifuge_path))
        leat_http_handshake_centrifuge(c);
    else
        answer_by_path(c);
}

bool leat_http_route_identify(leat_http_conn *c)
{
    if (!leat_http_conn_peer(c)->trusted)
        return true;
    leat_address_verdict verdict = leat_http_conn_identify(c);
    if (verdict == LEAT_ADDRESS_OK)
        return true;
    leat_http_answer_refusal(c, 429, verdict == LEAT_ADDRESS_TOO_MANY ? "limit" : "rate_limited",
                             leat_slice_of("too many connections from this address"), 1000, NULL);
    return false;
}

/* An EventSource gives up for good on any status but 200. */
static void refuse_too_fast(leat_http_conn *c, uint64_t wait_ms)
{
    uint32_t retry_ms = wait_ms < LEAST_RETRY_MS ? LEAST_RETRY_MS : (uint32_t)wait_ms;
    leat_slice message = leat_slice_of("too many requests from this address");
    leat_metrics_add(leat_http_conn_side(c)->metrics, LEAT_M_LIMITED_REQUESTS, 1);
    LEAT_LOG_INFO("http", "refused limit=request_rate_per_address remote=%s",
                  leat_http_conn_remote(c));
    if (leat_http_stream_is_event_source(leat_http_conn_request(c)))
        leat_http_answer_refusal_sse(c, "rate_limited", message, retry_ms);
    else
        leat_http_answer_refusal(c, 429, "rate_limited", message, retry_ms, NULL);
}

/* Returns false if the address sends too many: that is answered. Called before anything is done for
 * the request, so no handler runs and no file is opened. */
static bool check_rate(leat_http_conn *c)
{
    leat_address_slot *slot = leat_http_conn_address(c);
    uint64_t now_ms = leat_loop_now(leat_http_conn_side(c)->loop);
    uint64_t wait_ms =
        slot == NULL ? 0 : leat_address_limit_use(slot, LEAT_ADDRESS_REQUEST, now_ms);
    if (wait_ms > 0)
        refuse_too_fast(c, wait_ms);
    return wait_ms == 0;
}

void leat_http_route(leat_http_conn *c)
{
    if (leat_http_route_identify(c) && check_rate(c) && leat_http_host_check(c))
        answer(c);
}
