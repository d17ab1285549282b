/* figures.c - the table of the figures. */
#include "control/figures.h"

#include <inttypes.h>
#include <time.h>

enum kind {
    SUM,
    AGE,   /* of the time that the metric tells, in seconds; 0 while it tells none */
    ERROR, /* a sum, which the summary has in `errors` */
};

struct figure {
    const char *name;
    leat_metric first, last; /* their sum */
    enum kind kind;
};

#define SPAN(name, first, last, kind)                                                              \
    {                                                                                              \
        name, first, last, kind                                                                    \
    }
#define ONE(name, id) SPAN(name, id, id, SUM)
#define ERRORS(code, id) SPAN("errors_" code "_total", id, id, ERROR)

/* Names end in _total where they only grow, and rates can be made of them. */
static const struct figure figures[] = {
    ONE("connections", LEAT_M_CONNECTIONS),
    SPAN("subscriptions", LEAT_M_SUBS_NEW, LEAT_M_SUBS_LIVE, SUM),
    ONE("subscriptions_live", LEAT_M_SUBS_LIVE),
    ONE("topics", LEAT_M_TOPICS),
    ONE("handshakes_under_way", LEAT_M_HANDSHAKES_UNDER_WAY),
    ONE("pool_idle", LEAT_M_POOL_IDLE),
    ONE("pool_busy", LEAT_M_POOL_BUSY),
    ONE("pool_connecting", LEAT_M_POOL_CONNECTING),
    ONE("pool_waiters", LEAT_M_POOL_WAITERS),
    ONE("ring_bytes", LEAT_M_RING_BYTES),
    ONE("send_buffer_bytes", LEAT_M_SEND_BUFFER_BYTES),
    ONE("received_bytes", LEAT_M_RECEIVED_BYTES),
    ONE("script_bytes", LEAT_M_SCRIPT_MEMORY),
    ONE("guest_bytes", LEAT_M_GUEST_BYTES),
    ONE("request_bytes", LEAT_M_REQUEST_BYTES),
    ONE("mail_bytes", LEAT_M_MAIL_BYTES),
    ONE("kept_signal_bytes", LEAT_M_KEPT_SIGNAL_BYTES),
    ONE("gzip_cache_bytes", LEAT_M_GZIP_CACHE_BYTES),
    ONE("topics_unreadable", LEAT_M_TOPICS_UNREADABLE),
    ONE("schema_problems", LEAT_M_SCHEMA_PROBLEMS),
    ONE("trim_backlog_seconds", LEAT_M_TRIM_BACKLOG),
    SPAN("listener_behind_seconds", LEAT_M_LISTENER_CONFIRMED, LEAT_M_LISTENER_CONFIRMED, AGE),
    ONE("events_total", LEAT_M_EVENTS),
    ONE("deliveries_total", LEAT_M_DELIVERIES),
    ONE("early_events_total", LEAT_M_EARLY_EVENTS),
    ONE("snapshots_total", LEAT_M_SNAPSHOT_READS),
    ONE("stale_snapshots_total", LEAT_M_STALE_SNAPSHOTS),
    ONE("gaps_repaired_total", LEAT_M_GAPS_REPAIRED),
    SPAN("resyncs_total", LEAT_M_RESYNCS_STALE, LEAT_M_RESYNCS_TOO_LARGE, SUM),
    SPAN("handshakes_total", LEAT_M_HANDSHAKES_OK, LEAT_M_HANDSHAKES_GONE, SUM),
    SPAN("handshakes_good_total", LEAT_M_HANDSHAKES_OK, LEAT_M_HANDSHAKES_RESUMED, SUM),
    ONE("handshakes_refused_total", LEAT_M_HANDSHAKES_REFUSED),
    ONE("handshakes_late_total", LEAT_M_HANDSHAKES_DEADLINE),
    ONE("handshakes_unavailable_total", LEAT_M_HANDSHAKES_UNAVAILABLE),
    ONE("handshakes_internal_total", LEAT_M_HANDSHAKES_INTERNAL),
    SPAN("handshakes_shed_total", LEAT_M_HANDSHAKES_SHED_ALL, LEAT_M_HANDSHAKES_SHED_TENANT, SUM),
    ONE("slow_clients_closed_total", LEAT_M_SLOW_CLOSED),
    ONE("script_errors_total", LEAT_M_SCRIPT_ERRORS),
    ONE("http_requests_total", LEAT_M_HTTP_REQUESTS),
    ONE("bad_requests_total", LEAT_M_BAD_REQUESTS),
    SPAN("log_lines_lost_total", LEAT_M_LOG_DROPPED_FULL, LEAT_M_LOG_DROPPED_FAILED, SUM),
    ONE("connections_refused_total", LEAT_M_CONNECTIONS_REFUSED),
    ERRORS("bad_request", LEAT_M_ERRORS_BAD_REQUEST),
    ERRORS("unauthenticated", LEAT_M_ERRORS_UNAUTHENTICATED),
    ERRORS("forbidden", LEAT_M_ERRORS_FORBIDDEN),
    ERRORS("not_found", LEAT_M_ERRORS_NOT_FOUND),
    ERRORS("already_subscribed", LEAT_M_ERRORS_ALREADY_SUBSCRIBED),
    ERRORS("limit", LEAT_M_ERRORS_LIMIT),
    ERRORS("rate_limited", LEAT_M_ERRORS_RATE_LIMITED),
    ERRORS("deadline_exceeded", LEAT_M_ERRORS_DEADLINE_EXCEEDED),
    ERRORS("unavailable", LEAT_M_ERRORS_UNAVAILABLE),
    ERRORS("too_large", LEAT_M_ERRORS_TOO_LARGE),
    ERRORS("internal", LEAT_M_ERRORS_INTERNAL),
    ERRORS("revoked", LEAT_M_ERRORS_REVOKED),
    ONE("listener_reconnects_total", LEAT_M_LISTENER_RECONNECTS),
};

#define N_FIGURES (sizeof(figures) / sizeof(figures[0]))

size_t leat_figures_count(void)
{
    return N_FIGURES;
}

const char *leat_figures_name(size_t i)
{
    return figures[i].name;
}

static int64_t age_of(int64_t second)
{
    int64_t now = (int64_t)time(NULL);
    return second == 0 || second > now ? 0 : now - second;
}

int64_t leat_figures_value(leat_metrics_registry *registry, size_t i)
{
    int64_t sum = 0;
    for (unsigned id = figures[i].first; id <= (unsigned)figures[i].last; id++)
        sum += leat_metrics_sum(registry, (leat_metric)id);
    return figures[i].kind == AGE ? age_of(sum) : sum;
}

void leat_figures_write(leat_metrics_registry *registry, leat_buf *json)
{
    for (size_t i = 0; i < N_FIGURES; i++)
        if (figures[i].kind != ERROR)
            leat_buf_printf(json, ",\"%s\":%" PRId64, figures[i].name,
                            leat_figures_value(registry, i));
}
