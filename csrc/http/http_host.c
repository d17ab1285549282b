/* http_host.c - a page whose name is made to point to this server (DNS rebinding) is of the
 * server's own origin for the browser, and for leat_http_handshake_check_origin. Only its name
 * betrays it. A server that others reach is attacked by that no more than by anybody's direct
 * request, as the browser has no cookies for that name. One that only this machine reaches needs
 * the protection. */
#include "http/http_host.h"

#include "base/log.h"
#include "http/http_answer.h"

/* Probes ask by address, whatever the server's name is. */
static bool is_probe(leat_slice path)
{
    return leat_slice_is(path, "/healthz") || leat_slice_is(path, "/readyz") ||
           leat_slice_is(path, "/metrics");
}

/* For the console a name without a dot is not local: somebody in the same network may have given it
 * to himself. */
static bool is_local(leat_http_door door, leat_slice host)
{
    return door == LEAT_HTTP_DOOR_OPERATOR ? leat_host_list_is_own(host)
                                           : leat_host_list_is_local(host);
}

static bool is_allowed(leat_http_conn *c, leat_slice host)
{
    const leat_http_options *o = leat_http_conn_side(c)->options;
    leat_http_door door = leat_http_conn_door(c);
    bool open = o->hosts->count == 0 || door == LEAT_HTTP_DOOR_METRICS;
    if (leat_host_list_has(o->hosts, host))
        return true;
    if (open && !o->local_only[door])
        return true;
    return (open || is_probe(leat_http_conn_request(c)->path)) && is_local(door, host);
}

bool leat_http_host_check(leat_http_conn *c)
{
    char quoted[128];
    leat_slice host = leat_http_peer_host(leat_http_conn_peer(c), leat_http_conn_request(c));
    if (is_allowed(c, host))
        return true;
    LEAT_LOG_INFO("http", "host refused host=%s remote=%s",
                  leat_log_quote(quoted, sizeof(quoted), host.at, host.len),
                  leat_http_conn_remote(c));
    leat_metrics_add(leat_http_conn_side(c)->metrics, LEAT_M_HOSTS_REFUSED, 1);
    leat_http_answer(c, 421, "text/plain; charset=utf-8", "Cache-Control: no-store\r\n",
                     leat_slice_of("This server does not answer for that host (allowed_hosts).\n"));
    return false;
}
