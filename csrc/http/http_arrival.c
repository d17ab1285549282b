/* http_arrival.c - leat_http_arrival_new -> net/proxy_reader -> on_header -> on_known. */
#include "http/http_arrival.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/container_of.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/proxy_reader.h"

typedef struct arrival {
    leat_list link; /* in side->arrivals */
    leat_http_side *side;
    leat_proxy_reader *reader;
    struct sockaddr_storage addr; /* the proxy's */
    leat_http_peer proxy;
    leat_http_door door;
    leat_http_arrival_cb on_known;
} arrival;

static void refuse(const arrival *a, leat_proxy_verdict verdict)
{
    char ip[LEAT_IP_TEXT];
    if (verdict == LEAT_PROXY_GONE)
        return;
    leat_ip_format(&a->proxy.ip, ip);
    leat_metrics_add(a->side->metrics, LEAT_M_PROXY_HEADERS_REFUSED, 1);
    LEAT_LOG_WARN("http", "no PROXY header reason=%s proxy=%s",
                  verdict == LEAT_PROXY_LATE ? "late" : "malformed", ip);
}

static void admit(const arrival *a, int socket, const struct sockaddr_storage *source)
{
    leat_http_newcomer n = {.socket = socket, .addr = &a->addr, .peer = a->proxy, .door = a->door};
    if (source->ss_family != AF_UNSPEC) {
        n.addr = source;
        n.peer = leat_http_peer_of(source, a->side->options->trusted);
    }
    n.peer.introduced = true;
    a->on_known(a->side, &n);
}

static void on_header(void *arg, leat_proxy_verdict verdict, int socket,
                      const leat_proxy_header *header)
{
    arrival *a = arg;
    leat_list_unlink(&a->link);
    a->side->n_arrivals--;
    if (verdict == LEAT_PROXY_OK)
        admit(a, socket, &header->source);
    else
        refuse(a, verdict);
    free(a);
}

void leat_http_arrival_new(leat_http_side *side, const leat_http_newcomer *proxy,
                           leat_http_arrival_cb on_known)
{
    uint64_t deadline_ms = leat_loop_now(side->loop) + side->options->header_timeout_ms;
    arrival *a = leat_calloc(1, sizeof(*a));
    *a = (arrival){.side = side,
                   .addr = *proxy->addr,
                   .proxy = proxy->peer,
                   .door = proxy->door,
                   .on_known = on_known};
    int err =
        leat_proxy_reader_new(&a->reader, side->loop, proxy->socket, deadline_ms, on_header, a);
    if (err < 0) {
        LEAT_LOG_WARN("http", "connection not taken err=%s", uv_err_name(err));
        free(a);
        return;
    }
    leat_list_push(&side->arrivals, &a->link);
    side->n_arrivals++;
}

void leat_http_arrival_cancel_all(leat_http_side *side)
{
    while (!leat_list_empty(&side->arrivals))
        leat_proxy_reader_cancel(LEAT_CONTAINER_OF(side->arrivals.next, arrival, link)->reader);
}
