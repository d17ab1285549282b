/* ws_rate.c - how much a peer sends is charged to its buckets. A peer that owes bytes is not read
 * until it has paid (the brake): so it costs neither memory nor time. Too many messages, pings or
 * pongs are a flood, which ends it. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/ws_peer.h"
#include "net/ws_private.h"
#include "wire/close_code.h"

/* Messages beyond the allowance that are answered before the peer is closed; or a burst of them, if
 * that is less. */
enum { MAX_REFUSED = 200 };

void ws_release_brake(ws_peer *w)
{
    if (w->brake != NULL)
        leat_deadline_cancel(&w->brake->end);
    free(w->brake);
    w->brake = NULL;
}

static void on_brake_end(leat_deadline *d)
{
    ws_peer *w = LEAT_CONTAINER_OF(d, ws_brake, end)->peer;
    ws_release_brake(w);
    ws_update_reading(w);
}

static void brake(ws_peer *w, uint64_t ms)
{
    leat_metrics_add(w->base.net->metrics, LEAT_M_LIMITED_BYTES, 1);
    LEAT_LOG_INFO("client", "slowed limit=byte_rate_per_client remote=%s ms=%" PRIu64,
                  leat_peer_remote(&w->base), ms);
    w->brake = leat_calloc(1, sizeof(*w->brake));
    w->brake->peer = w;
    w->pinged_after_ms = 0; /* while nothing is read, an answer is not seen */
    leat_deadline_init(&w->brake->end);
    leat_loop_after(w->base.net->loop, &w->brake->end, ms, on_brake_end);
}

void ws_count_bytes(ws_peer *w, size_t n)
{
    const leat_rate *rate = &ws_allowance(w)->bytes;
    uint64_t now_ms = leat_loop_now(w->base.net->loop);
    leat_bucket_charge(&w->bytes, rate, n, now_ms);
    if (w->brake == NULL && leat_bucket_owes(&w->bytes, rate, now_ms))
        brake(w, leat_bucket_wait_ms(&w->bytes, rate, now_ms));
}

static bool end_flood(ws_peer *w, const char *limit, const char *reason)
{
    leat_metrics_add(w->base.net->metrics, LEAT_M_FLOODS_CLOSED, 1);
    LEAT_LOG_INFO("client", "closed reason=flood limit=%s remote=%s", limit,
                  leat_peer_remote(&w->base));
    leat_conn_charge_flood(w->base.conn);
    ws_end_input(w, LEAT_CLOSE_TOO_MANY, leat_slice_of(reason));
    return false;
}

bool ws_count_message(ws_peer *w)
{
    const leat_rate *rate = &ws_allowance(w)->messages;
    uint64_t now_ms = leat_loop_now(w->base.net->loop);
    leat_bucket_charge(&w->messages, rate, 1, now_ms);
    if (leat_bucket_owes(&w->messages, rate, now_ms))
        leat_metrics_add(w->base.net->metrics, LEAT_M_LIMITED_MESSAGES, 1);
    return !leat_bucket_owes_many(&w->messages, rate, MAX_REFUSED, now_ms) ||
           end_flood(w, "message_rate_per_client", "too many messages");
}

bool ws_count_control(ws_peer *w)
{
    if (leat_bucket_take(&w->controls, &ws_allowance(w)->controls, 1,
                         leat_loop_now(w->base.net->loop)))
        return true;
    leat_metrics_add(w->base.net->metrics, LEAT_M_LIMITED_CONTROLS, 1);
    return end_flood(w, "control_rate_per_client", "too many pings or pongs");
}

bool leat_ws_peer_charge_message(leat_peer *p)
{
    ws_of(p)->handled++;
    return ws_count_message(ws_of(p));
}

uint64_t leat_ws_peer_message_wait_ms(const leat_peer *p)
{
    const ws_peer *w = (const ws_peer *)p;
    const leat_rate *rate = &ws_allowance(w)->messages;
    uint64_t now_ms = leat_loop_now(p->net->loop);
    return leat_bucket_owes(&w->messages, rate, now_ms)
               ? leat_bucket_wait_ms(&w->messages, rate, now_ms)
               : 0;
}
