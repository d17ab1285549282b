/* http_server.c - which connections are taken. What they ask for is answered by http_route.c. */
#include "http/http_server.h"

#include <unistd.h>

#include "base/log.h"
#include "http/http_arrival.h"
#include "http/http_conn.h"
#include "http/http_headers.h"
#include "http/http_route.h"

/* Connections over max_connections that are told so; further ones are closed without a word. */
#define MAX_TURNED_AWAY 64
#define TURNED_AWAY_LINGER_MS 1000
/* Connections of metrics_listen are bounded by themselves, so that a crowd of others hides nothing.
 */
#define MAX_METRICS 64

/* Connections that speak HTTP, and those that another protocol has taken over. */
static size_t count_connections(const leat_http_side *side)
{
    int64_t handed_on = leat_metrics_get(side->metrics, LEAT_M_CONNECTIONS);
    return side->n_arrivals + side->n_conns - side->n_turned_away - side->n_metrics +
           (handed_on > 0 ? (size_t)handed_on : 0);
}

static void turn_away(leat_http_conn *c)
{
    leat_buf lines = LEAT_BUF_INIT;
    leat_buf out = LEAT_BUF_INIT;
    leat_http_headers_write(&lines, c, "Retry-After: 1\r\n");
    leat_http_write_response(
        &out, 503, "application/json", lines.at,
        leat_slice_of("{\"code\":\"limit\",\"message\":\"too many connections\"}"), false, false);
    leat_http_conn_turn_away(c, leat_buf_view(&out), TURNED_AWAY_LINGER_MS);
    leat_buf_close(&lines);
    leat_buf_close(&out);
}

static leat_http_conn *take(leat_http_side *side, const leat_http_newcomer *n,
                            leat_address_slot *slot)
{
    leat_conn *conn = NULL;
    int err = leat_conn_new(&conn, &side->core->net, n->socket, n->addr);
    if (err < 0) {
        LEAT_LOG_WARN("http", "connection not taken err=%s", uv_err_name(err));
        if (slot != NULL)
            leat_address_limit_leave(slot);
        return NULL;
    }
    leat_conn_set_address(conn, slot);
    if (n->door == LEAT_HTTP_DOOR_TLS)
        leat_tls_side_begin(side->tls, conn);
    return leat_http_conn_new(side, conn, &n->peer, n->door, leat_http_route);
}

static void accept_metrics(leat_http_side *side, const leat_http_newcomer *n)
{
    if (side->n_metrics >= MAX_METRICS)
        close(n->socket);
    else
        (void)take(side, n, NULL);
}

/* A refused address costs an accept and a close, and gets no answer. */
static void accept_client(leat_http_side *side, const leat_http_newcomer *n)
{
    leat_address_slot *slot = NULL;
    bool full = count_connections(side) >= side->options->max_connections;
    leat_address_verdict verdict =
        leat_http_peer_enter(&n->peer, side->addresses, leat_loop_now(side->loop), &slot);
    if (leat_http_side_refuses(side, verdict, &n->peer.ip)) {
        close(n->socket);
        return;
    }
    if (full)
        leat_http_side_refuses_all(side);
    if (full && side->n_turned_away >= MAX_TURNED_AWAY) {
        if (slot != NULL)
            leat_address_limit_leave(slot);
        close(n->socket);
        return;
    }
    leat_http_conn *c = take(side, n, slot);
    if (full && c != NULL)
        turn_away(c);
    else if (c != NULL && n->first.len > 0)
        leat_http_conn_feed(c, n->first);
}

static void accept_public(leat_http_side *side, const leat_http_newcomer *n)
{
    if (!n->peer.known || !leat_networks_have(side->options->introducing, &n->peer.ip)) {
        accept_client(side, n);
    } else if (side->n_arrivals < side->options->max_connections) {
        leat_http_arrival_new(side, n, accept_client);
    } else {
        leat_http_side_refuses_all(side);
        close(n->socket);
    }
}

void leat_http_server_accept(leat_http_side *side, uv_os_sock_t socket,
                             const struct sockaddr_storage *addr, leat_http_door door)
{
    leat_http_newcomer n = {
        .socket = socket,
        .addr = addr,
        .peer = leat_http_peer_of(addr, side->options->trusted),
        .door = door,
    };
    switch (door) {
    case LEAT_HTTP_DOOR_PUBLIC:
    case LEAT_HTTP_DOOR_TLS:
        accept_public(side, &n);
        break;
    case LEAT_HTTP_DOOR_METRICS:
        accept_metrics(side, &n);
        break;
    case LEAT_HTTP_DOOR_OPERATOR: /* the control takes these itself */
    case LEAT_HTTP_DOOR_HOST:     /* these are handed over */
    case LEAT_HTTP_DOORS:
        break;
    }
}

void leat_http_server_hand_over(leat_http_side *side, uv_os_sock_t socket,
                                const struct sockaddr_storage *addr, leat_slice first)
{
    accept_client(side, &(leat_http_newcomer){
                            .socket = socket,
                            .addr = addr,
                            .peer = leat_http_peer_of(addr, side->options->trusted),
                            .door = LEAT_HTTP_DOOR_HOST,
                            .first = first,
                        });
}

void leat_http_server_close(leat_http_side *side)
{
    leat_http_arrival_cancel_all(side);
    /* Closing only marks; the list changes in the close callbacks. */
    for (leat_list *link = side->conns.next; link != &side->conns;) {
        leat_list *next = link->next;
        leat_http_conn_close(leat_http_conn_of(link));
        link = next;
    }
}
