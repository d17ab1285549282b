#include "http/http_side.h"

#include <inttypes.h>

#include "base/log.h"

#define LOG_INTERVAL_MS 1000
/* A connection that holds no more than this may use all of its pot. */
#define SMALL_BYTES 4096

/* Counts one more. Returns how many the line is about that is due now; 0: none is. */
static uint64_t take_unlogged(leat_http_refusals *r, uint64_t now_ms)
{
    uint64_t count = ++r->n;
    if (r->logged_ms != 0 && now_ms < r->logged_ms + LOG_INTERVAL_MS)
        return 0;
    *r = (leat_http_refusals){.logged_ms = now_ms};
    return count;
}

void leat_http_side_refuses_all(leat_http_side *side)
{
    leat_metrics_add(side->metrics, LEAT_M_CONNECTIONS_REFUSED, 1);
    uint64_t count = take_unlogged(&side->of_all, leat_loop_now(side->loop));
    if (count > 0)
        LEAT_LOG_INFO("http", "connections refused limit=max_connections count=%" PRIu64, count);
}

bool leat_http_side_refuses(leat_http_side *side, leat_address_verdict verdict, const leat_ip *ip)
{
    if (verdict == LEAT_ADDRESS_OK)
        return false;
    bool many = verdict == LEAT_ADDRESS_TOO_MANY;
    leat_metrics_add(side->metrics, many ? LEAT_M_ADDRESS_TOO_MANY : LEAT_M_ADDRESS_TOO_FAST, 1);
    uint64_t count = take_unlogged(&side->of_addresses, leat_loop_now(side->loop));
    if (count == 0)
        return true;
    char text[LEAT_IP_TEXT];
    leat_ip_format(ip, text);
    LEAT_LOG_INFO("http", "address refused address=%s limit=%s count=%" PRIu64, text,
                  many ? "max_connections_per_address" : "connection_rate_per_address", count);
    return true;
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
