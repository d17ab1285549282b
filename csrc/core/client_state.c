/* client_state.c - the table of states, and what holds the peer's next message back: it is not yet
 * known who it is, or too much is unanswered or unsent. */
#include "core/client_state.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "core/admission.h"

/* Which may follow which. A client without an identity is not drained: it has nothing to lose, and
 * is closed. */
#define TO(status) (1u << CLIENT_##status)
static const unsigned next_of[] = {
    [CLIENT_OPEN] = TO(GUEST) | TO(DRAINING) | TO(CLOSED), /* GUEST: when it is new */
    [CLIENT_GUEST] = TO(IDENTIFYING) | TO(CLOSED),
    [CLIENT_IDENTIFYING] = TO(OPEN) | TO(CLOSED),
    [CLIENT_DRAINING] = TO(DRAINING) | TO(CLOSED),
    [CLIENT_CLOSED] = TO(CLOSED),
};
#undef TO

static bool is_guest(client_status status)
{
    return status == CLIENT_GUEST || status == CLIENT_IDENTIFYING;
}

bool client_is_guest(const leat_client *c)
{
    return is_guest(c->status);
}

client_busy *client_busy_of(leat_client *c)
{
    if (c->busy == NULL) {
        c->busy = leat_pool_take(leat_loop_pool(c->base.core->loop), sizeof(*c->busy));
        leat_list_init(&c->busy->requests);
    }
    return c->busy;
}

void client_settle(leat_client *c)
{
    if (c->busy == NULL || c->busy->request_bytes > 0 || c->busy->on_guest_end != NULL)
        return;
    leat_pool_give(leat_loop_pool(c->base.core->loop), c->busy);
    c->busy = NULL;
}

static void end_guest(leat_client *c)
{
    void (*on_end)(void *) = c->busy->on_guest_end;
    void *arg = c->busy->on_guest_end_arg;
    c->busy->on_guest_end = NULL;
    client_settle(c);
    leat_metrics_add(c->base.core->metrics, LEAT_M_UNAUTHENTICATED, -1);
    on_end(arg);
}

void client_set_status(leat_client *c, client_status next)
{
    LEAT_ASSERT((next_of[c->status] >> next & 1) != 0);
    bool ends = is_guest(c->status) && !is_guest(next);
    if (next == CLIENT_IDENTIFYING)
        leat_admission_under_way(c->base.core, NULL);
    else if (c->status == CLIENT_IDENTIFYING)
        leat_admission_over(c->base.core, NULL);
    c->status = (uint8_t)next;
    if (ends)
        end_guest(c);
}

client_timer *client_timer_of(leat_client *c)
{
    if (c->timer == NULL) {
        c->timer = leat_pool_take(leat_loop_pool(c->base.core->loop), sizeof(*c->timer));
        c->timer->client = c;
        leat_deadline_init(&c->timer->at);
    }
    return c->timer;
}

void client_arm_timer(leat_client *c, uint64_t in_ms, leat_deadline_cb on_time)
{
    leat_loop_after(c->base.core->loop, &client_timer_of(c)->at, in_ms, on_time);
}

void client_cancel_timer(leat_client *c)
{
    if (c->timer != NULL)
        leat_deadline_cancel(&c->timer->at);
    leat_pool_give(leat_loop_pool(c->base.core->loop), c->timer);
    c->timer = NULL;
}

bool client_may_ask(const leat_client *c)
{
    const leat_limits *l = c->base.core->limits;
    return c->status != CLIENT_IDENTIFYING && c->base.n_inflight < l->max_inflight &&
           client_request_bytes(c) < l->max_message_bytes && leat_peer_is_open(c->peer);
}

void client_update_flow(leat_client *c)
{
    if (c->status == CLIENT_CLOSED)
        return;
    bool waits = client_foreign_waiting(c->foreign) > 0;
    bool may = client_may_ask(c);
    if (may && waits)
        client_foreign_go_on(c->foreign);
    if (may && !waits)
        leat_peer_release(c->peer);
    else
        leat_peer_hold(c->peer);
}

void client_answered(leat_client *c)
{
    c->base.n_inflight--;
    client_update_flow(c);
}
