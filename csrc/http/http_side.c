/* Who is taken in, and how much all of them may hold. */
#include "http/http_side.h"

#include <inttypes.h>
#include <unistd.h>

#include "base/log.h"
#include "http/http_conn.h"

/* Connections over the limit that are told so; further ones are closed without a word. */
#define MAX_REFUSED 64
#define REFUSED_LINGER_MS 1000
/* Connections of metrics_listen: apart from all others, so that a crowd of those hides nothing. */
#define MAX_METRICS 64
#define LOG_INTERVAL_MS 1000
/* A connection that holds no more than this may use all of its pot. */
#define SMALL_BYTES 4096

/* Those that still speak HTTP, and those that were handed on, whoever serves them now. */
static size_t count_connections(const leat_http_side *side)
{
    int64_t handed_on = leat_metrics_get(side->metrics, LEAT_M_CONNECTIONS);
    return side->n_conns - side->n_refused - side->n_metrics +
           (handed_on > 0 ? (size_t)handed_on : 0);
}

static void turn_away(leat_http_conn *c)
{
    leat_buf out = LEAT_BUF_INIT;
    leat_http_write_response(
        &out, 503, "application/json", "Retry-After: 1\r\n",
        leat_slice_of("{\"code\":\"limit\",\"message\":\"too many connections\"}"), false, false);
    leat_http_conn_turn_away(c, leat_buf_view(&out), REFUSED_LINGER_MS);
    leat_buf_close(&out);
}

bool leat_http_side_refuses(leat_http_side *side, leat_address_verdict verdict, const leat_ip *ip)
{
    if (verdict == LEAT_ADDRESS_OK)
        return false;
    bool many = verdict == LEAT_ADDRESS_TOO_MANY;
    leat_metrics_add(side->metrics, many ? LEAT_M_ADDRESS_TOO_MANY : LEAT_M_ADDRESS_TOO_FAST, 1);
    side->n_unlogged++;
    uint64_t now = leat_loop_now(side->loop);
    if (side->refusal_logged_ms != 0 && now < side->refusal_logged_ms + LOG_INTERVAL_MS)
        return true;
    char text[LEAT_IP_TEXT];
    leat_ip_format(ip, text);
    LEAT_LOG_INFO("http", "address refused address=%s limit=%s count=%" PRIu64, text,
                  many ? "max_connections_per_address" : "connection_rate_per_address",
                  side->n_unlogged);
    side->refusal_logged_ms = now;
    side->n_unlogged = 0;
    return true;
}

static leat_http_conn *take(leat_http_side *side, uv_os_sock_t socket, const leat_http_peer *peer,
                            leat_http_door door, leat_address_slot *slot)
{
    leat_conn *conn = NULL;
    int err = leat_conn_new(&conn, side->loop, side->metrics, socket);
    if (err < 0) {
        LEAT_LOG_WARN("http", "connection not taken err=%s", uv_err_name(err));
        if (slot != NULL)
            leat_address_limit_leave(slot);
        return NULL;
    }
    leat_http_peer_attach(conn, slot);
    return leat_http_conn_new(side, conn, peer, door);
}

static void accept_metrics(leat_http_side *side, uv_os_sock_t socket, const leat_http_peer *peer)
{
    if (side->n_metrics >= MAX_METRICS)
        close(socket);
    else
        (void)take(side, socket, peer, LEAT_HTTP_DOOR_METRICS, NULL);
}

/* A refused address costs an accept and a close, and gets no answer. */
static void accept_public(leat_http_side *side, uv_os_sock_t socket, const leat_http_peer *peer)
{
    leat_address_slot *slot = NULL;
    bool full = count_connections(side) >= side->options->max_connections;
    leat_address_verdict verdict =
        leat_http_peer_enter(peer, side->addresses, leat_loop_now(side->loop), &slot);
    if (leat_http_side_refuses(side, verdict, &peer->ip)) {
        close(socket);
        return;
    }
    if (full)
        leat_metrics_add(side->metrics, LEAT_M_CONNECTIONS_REFUSED, 1);
    if (full && side->n_refused >= MAX_REFUSED) {
        if (slot != NULL)
            leat_address_limit_leave(slot);
        close(socket);
        return;
    }
    leat_http_conn *c = take(side, socket, peer, LEAT_HTTP_DOOR_PUBLIC, slot);
    if (full && c != NULL)
        turn_away(c);
}

void leat_http_side_accept(leat_http_side *side, uv_os_sock_t socket,
                           const struct sockaddr_storage *addr, leat_http_door door)
{
    leat_http_peer peer = leat_http_peer_of(addr, side->options->trusted);
    switch (door) {
    case LEAT_HTTP_DOOR_PUBLIC:
        accept_public(side, socket, &peer);
        break;
    case LEAT_HTTP_DOOR_METRICS:
        accept_metrics(side, socket, &peer);
        break;
    }
}

void leat_http_side_close(leat_http_side *side)
{
    /* Closing only marks; the list changes in the close callbacks. */
    for (leat_list *link = side->conns.next; link != &side->conns;) {
        leat_list *next = link->next;
        leat_http_conn_end(leat_http_conn_of(link));
        link = next;
    }
}

void leat_http_side_count(leat_http_side *side, leat_http_pot pot, size_t before, size_t after)
{
    static const leat_metric gauges[] = {
        [LEAT_HTTP_POT_GUESTS] = LEAT_M_GUEST_BYTES,
        [LEAT_HTTP_POT_CALLERS] = LEAT_M_REQUEST_BYTES,
    };
    if (before == after)
        return;
    side->bytes[pot] = side->bytes[pot] - before + after;
    leat_metrics_add(side->metrics, gauges[pot], (int64_t)after - (int64_t)before);
}

bool leat_http_side_full(const leat_http_side *side, leat_http_pot pot, size_t held)
{
    size_t max = side->options->max_bytes[pot];
    return side->bytes[pot] > (held > SMALL_BYTES ? max / 2 : max);
}
