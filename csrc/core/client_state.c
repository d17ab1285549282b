/* client_state.c - holds the peer's next message back while too much is unanswered or unsent. */
#include "core/client_state.h"

static bool may_ask(const leat_client *c)
{
    const leat_limits *l = c->base.core->limits;
    return c->base.n_inflight < l->max_inflight && c->request_bytes < l->max_message_bytes &&
           leat_peer_is_open(c->peer);
}

void client_update_flow(leat_client *c)
{
    if (c->status == CLIENT_CLOSED)
        return;
    if (may_ask(c))
        leat_peer_release(c->peer);
    else
        leat_peer_hold(c->peer);
}

void client_answered(leat_client *c)
{
    c->base.n_inflight--;
    client_update_flow(c);
}
