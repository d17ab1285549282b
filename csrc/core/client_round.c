/* client_round.c - on_round looks at some of the clients, the next ones each time: core->clients is
 * turned while they are looked at. So a client costs no timer for what happens to few.
 *
 * What clients hold is counted by gauges as it comes and goes. Only when it is too much, all
 * clients and holders are looked at, to find the one that holds most; it is closed, then the next
 * one. */
#include "core/client_round.h"

#include "base/container_of.h"
#include "base/log.h"
#include "core/client_end.h"
#include "core/client_send.h"
#include "core/client_state.h"
#include "wire/close_code.h"

enum {
    ROUNDS = 16, /* in so many of them each client is looked at */
    ROUND_MS = CLIENT_ROUND_TIME_MS / ROUNDS,
    LEAST_SEEN = 16,     /* clients in one round */
    LEAST_BYTES = 16384, /* closing a client that holds less frees next to nothing */
};

static void on_round(leat_deadline *d);

void client_round_begin(leat_core *core)
{
    if (!leat_deadline_armed(&core->round))
        leat_loop_after(core->loop, &core->round, ROUND_MS, on_round);
}

static bool is_needed(const leat_core *core)
{
    return core->n_clients > 0 || !leat_list_empty(&core->holders);
}

void client_round_end(leat_core *core)
{
    if (!is_needed(core))
        leat_deadline_cancel(&core->round);
}

void client_round_join(leat_core *core, client_holder *h, leat_peer *peer)
{
    h->peer_ = peer;
    leat_list_init(&h->link_);
    leat_list_push(&core->holders, &h->link_);
    client_round_begin(core);
}

void client_round_leave(client_holder *h)
{
    leat_list_unlink(&h->link_);
}

/* --- silence --- */

static void close_idle(leat_client *c, leat_metric counter, const char *limit, const char *reason)
{
    leat_metrics_add(c->base.core->metrics, counter, 1);
    LEAT_LOG_INFO("client", "closed reason=idle limit=%s remote=%s", limit,
                  leat_peer_remote(c->peer));
    client_close(c, LEAT_CLOSE_DEADLINE, reason);
}

/* A ping that is due before the next look is sent now. */
static void ping(leat_client *c, uint64_t now_ms)
{
    bool is_served = c->status == CLIENT_OPEN || c->status == CLIENT_DRAINING;
    if (is_served && client_foreign_take_ping(c->foreign, now_ms + CLIENT_ROUND_TIME_MS))
        client_send_ping(&c->base);
}

/* A client that waits for an answer, or for events, is not idle. */
static void look_at(leat_client *c, uint64_t now_ms)
{
    const leat_limits *l = c->base.core->limits;
    ping(c, now_ms);
    bool waits = c->base.subs.count > 0 || c->base.n_inflight > 0 || c->base.is_stream;
    if (c->status != CLIENT_OPEN || waits)
        return;
    uint64_t silent_ms = now_ms - c->heard_ms;
    if (!c->has_spoken && silent_ms >= l->first_message_timeout_ms)
        close_idle(c, LEAT_M_IDLE_CLOSED_FIRST, "first_message_timeout_ms", "no message came");
    else if (c->has_spoken && silent_ms >= l->idle_timeout_ms)
        close_idle(c, LEAT_M_IDLE_CLOSED, "idle_timeout_ms", "idle");
}

static void look_at_some(leat_core *core)
{
    size_t n = core->n_clients / ROUNDS;
    n = n < LEAST_SEEN ? LEAST_SEEN : n;
    for (n = n < core->n_clients ? n : core->n_clients; n > 0; n--) {
        leat_list *link = leat_list_shift(&core->clients);
        if (link == NULL) /* look_at closes clients */
            return;
        leat_list_push(&core->clients, link);
        look_at(LEAT_CONTAINER_OF(link, leat_client, link), leat_loop_now(core->loop));
    }
}

/* --- bytes --- */

static size_t held_by_all(const leat_core *core)
{
    int64_t bytes = leat_metrics_get(core->metrics, LEAT_M_SEND_BUFFER_BYTES) +
                    leat_metrics_get(core->metrics, LEAT_M_RECEIVED_BYTES);
    return bytes > 0 ? (size_t)bytes : 0;
}

static size_t held_by(const leat_client *c)
{
    return c->status == CLIENT_CLOSED
               ? 0
               : leat_peer_queued(c->peer) + leat_peer_received(c->peer) + client_request_bytes(c) +
                     c->base.params_bytes + client_foreign_waiting(c->foreign);
}

bool client_round_has_room(const leat_core *core, size_t bytes)
{
    return core->max_client_bytes == 0 || held_by_all(core) + bytes <= core->max_client_bytes;
}

static leat_client *find_largest(const leat_core *core)
{
    leat_client *largest = NULL;
    for (leat_list *l = core->clients.next; l != &core->clients; l = l->next) {
        leat_client *c = LEAT_CONTAINER_OF(l, leat_client, link);
        if (largest == NULL || held_by(c) > held_by(largest))
            largest = c;
    }
    return largest;
}

static size_t held_by_holder(const client_holder *h)
{
    return leat_peer_queued(h->peer_) + leat_peer_received(h->peer_);
}

static client_holder *find_largest_holder(const leat_core *core)
{
    client_holder *largest = NULL;
    for (leat_list *l = core->holders.next; l != &core->holders; l = l->next) {
        client_holder *h = LEAT_CONTAINER_OF(l, client_holder, link_);
        if (largest == NULL || held_by_holder(h) > held_by_holder(largest))
            largest = h;
    }
    return largest;
}

static void shed(leat_core *core, leat_peer *peer, int code, size_t bytes)
{
    leat_metrics_add(core->metrics, LEAT_M_LARGE_CLOSED, 1);
    LEAT_LOG_WARN("client", "closed reason=memory limit=max_client_bytes remote=%s held=%zu",
                  leat_peer_remote(peer), bytes);
    leat_peer_shed(peer, code, "the server holds too much");
}

/* Returns how many bytes are free now; 0 if nobody holds enough. */
static size_t close_one(leat_core *core)
{
    leat_client *c = find_largest(core);
    client_holder *h = find_largest_holder(core);
    size_t of_client = c == NULL ? 0 : held_by(c);
    size_t of_holder = h == NULL ? 0 : held_by_holder(h);
    if (of_client < LEAST_BYTES && of_holder < LEAST_BYTES)
        return 0;
    if (of_holder > of_client) {
        LEAT_ASSUME(h != NULL);
        shed(core, h->peer_, LEAT_CLOSE_TOO_SLOW, of_holder);
        return of_holder;
    }
    LEAT_ASSUME(c != NULL);
    client_end(c);
    shed(core, c->peer, c->base.codec->close_code(LEAT_CLOSE_TOO_SLOW), of_client);
    return of_client;
}

/* Each one costs a look at all of them, so the rest is left to the next round. */
static void close_largest(leat_core *core)
{
    size_t held = held_by_all(core);
    size_t enough = core->max_client_bytes - core->max_client_bytes / 8;
    for (int i = 0; i < ROUNDS && held > enough; i++) {
        size_t bytes = close_one(core);
        if (bytes == 0)
            return;
        held -= bytes < held ? bytes : held;
    }
}

static void on_round(leat_deadline *d)
{
    leat_core *core = LEAT_CONTAINER_OF(d, leat_core, round);
    if (!is_needed(core))
        return;
    look_at_some(core);
    if (!client_round_has_room(core, 0))
        close_largest(core);
    client_round_begin(core);
}
