/* Who is taken in, and how much all of them may hold. */
#include "app/http_side.h"

#include <unistd.h>

#include "app/http_conn.h"
#include "base/log.h"

/* Connections over the limit that are told so; further ones are closed without a word. */
#define MAX_REFUSED 64
#define REFUSED_LINGER_MS 1000
/* A connection that holds no more than this may use all of its pot. */
#define SMALL_BYTES 4096

/* Those that still speak HTTP, and those that were handed on, whoever serves them now. */
static size_t count_connections(const leat_http_side *side)
{
    int64_t handed_on = leat_metrics_get(side->metrics, LEAT_M_CONNECTIONS);
    return side->n_conns - side->n_refused + (handed_on > 0 ? (size_t)handed_on : 0);
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

void leat_http_side_accept(leat_http_side *side, uv_os_sock_t socket)
{
    bool full = count_connections(side) >= side->max_connections;
    if (full)
        leat_metrics_add(side->metrics, LEAT_M_CONNECTIONS_REFUSED, 1);
    leat_conn *conn = NULL;
    if (full && side->n_refused >= MAX_REFUSED) {
        close(socket);
        return;
    }
    int err = leat_conn_new(&conn, side->loop, side->metrics, socket);
    if (err < 0) {
        LEAT_LOG_WARN("http", "connection not taken err=%s", uv_err_name(err));
        return;
    }
    leat_http_conn *c = leat_http_conn_new(side, conn);
    if (full)
        turn_away(c);
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
    size_t max = side->max_bytes[pot];
    return side->bytes[pot] > (held > SMALL_BYTES ? max / 2 : max);
}
