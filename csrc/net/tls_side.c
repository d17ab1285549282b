/* tls_side.c - a handshake's course: leat_tls_side_begin puts a filter on the conn; when the
 * client's first bytes come, leat_tls_open takes over; leat_tls_side_over ends it. A step of a
 * handshake may cost a signature, which takes up to a millisecond of the loop. So a turn takes a
 * few, and leaves the rest to the next one: their sockets stay readable. */
#include "net/tls_side.h"

#include <stdlib.h>

#include "base/container_of.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/tls_private.h"

enum { STEPS_A_TURN = 8 };

static void on_end_of_turn(leat_sweep *sweep)
{
    LEAT_CONTAINER_OF(sweep, leat_tls_side, sweep)->steps = 0;
}

leat_tls_side *leat_tls_side_new(leat_loop *loop, leat_metrics *metrics,
                                 const leat_tls_side_options *options)
{
    leat_tls_side *side = leat_calloc(1, sizeof(*side));
    side->loop = loop;
    side->metrics = metrics;
    side->store = options->store;
    side->handshake_timeout_ms = options->handshake_timeout_ms;
    side->max_handshakes = options->max_handshakes;
    side->socket_method = leat_tls_socket_method();
    LEAT_ASSERT(side->socket_method != NULL);
    leat_list_init(&side->under_way);
    leat_sweep_init(&side->sweep, on_end_of_turn);
    return side;
}

void leat_tls_side_tell(const leat_tls_side *side, leat_buf *lines)
{
    leat_tls_store_tell(side->store, lines);
}

void leat_tls_side_free(leat_tls_side *side)
{
    if (side == NULL)
        return;
    LEAT_ASSERT(side->n_under_way == 0);
    leat_sweep_cancel(&side->sweep);
    BIO_meth_free(side->socket_method);
    free(side);
}

bool leat_tls_side_takes_step(leat_tls_side *side)
{
    if (side->steps == STEPS_A_TURN)
        return false;
    side->steps++;
    leat_sweep_schedule(side->loop, &side->sweep);
    return true;
}

void leat_tls_side_over(leat_tls *t, leat_metric outcome)
{
    leat_tls_side *side = t->side;
    leat_list_unlink(&t->link);
    side->n_under_way--;
    leat_deadline_cancel(&t->deadline);
    leat_tls_set_unref(t->set);
    t->set = NULL;
    leat_metrics_add(side->metrics, LEAT_M_TLS_UNDER_WAY, -1);
    leat_metrics_add(side->metrics, outcome, 1);
}

static bool is_under_way(const leat_tls *t)
{
    return t->base.state == LEAT_FILTER_OPENING && t->set != NULL;
}

static void give_up(leat_tls *t, leat_metric outcome, const char *reason)
{
    LEAT_LOG_INFO("tls", "handshake given up reason=%s remote=%s", reason,
                  leat_conn_remote(t->base.conn));
    leat_tls_side_over(t, outcome);
    leat_conn_close(t->base.conn);
}

static void on_timeout(leat_deadline *d)
{
    give_up(LEAT_CONTAINER_OF(d, leat_tls, deadline), LEAT_M_TLS_FAILED_TIMEOUT, "timeout");
}

static void free_tls(leat_filter *base)
{
    leat_tls *t = LEAT_CONTAINER_OF(base, leat_tls, base);
    if (is_under_way(t))
        leat_tls_side_over(t, LEAT_M_TLS_FAILED_GONE);
    else if (t->facts.len > 0)
        leat_metrics_add(t->side->metrics,
                         base->state == LEAT_FILTER_IN_KERNEL ? LEAT_M_TLS_IN_KERNEL
                                                              : LEAT_M_TLS_IN_PROCESS,
                         -1);
    SSL_free(t->ssl);
    leat_buf_close(&t->facts);
    free(t);
}

void leat_tls_side_begin(leat_tls_side *side, leat_conn *conn)
{
    static const leat_filter_ops ops = {
        .open = leat_tls_open,
        .read = leat_tls_read,
        .write = leat_tls_write,
        .end = leat_tls_end,
        .free = free_tls,
    };
    if (side->n_under_way >= side->max_handshakes)
        give_up(LEAT_CONTAINER_OF(side->under_way.next, leat_tls, link), LEAT_M_TLS_FAILED_CROWDED,
                "crowded");
    leat_tls *t = leat_calloc(1, sizeof(*t));
    t->base.ops = &ops;
    t->base.wait_read = LEAT_WATCH_READABLE;
    t->base.wait_write = LEAT_WATCH_WRITABLE;
    t->side = side;
    t->set = leat_tls_store_take(side->store);
    leat_deadline_init(&t->deadline);
    leat_loop_after(side->loop, &t->deadline, side->handshake_timeout_ms, on_timeout);
    leat_list_push(&side->under_way, &t->link);
    side->n_under_way++;
    leat_metrics_add(side->metrics, LEAT_M_TLS_UNDER_WAY, 1);
    leat_conn_set_filter(conn, &t->base);
}

leat_slice leat_tls_side_facts(const leat_conn *conn)
{
    leat_filter *base = leat_conn_filter(conn);
    if (base == NULL || base->state == LEAT_FILTER_OPENING)
        return (leat_slice){NULL, 0};
    return leat_buf_view(&LEAT_CONTAINER_OF(base, leat_tls, base)->facts);
}
