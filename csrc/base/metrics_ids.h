/* metrics_ids.h - which counters, gauges and histograms there are, and the form of a histogram.
 *
 * Ownership  nothing is owned.
 * Threads    what a thread counts is changed by it alone, and may be read by any.
 * Units      nanoseconds (_ns).
 * Errors     none.
 *
 * metrics_table.c has the name, the labels and the help text of each.
 */
#ifndef LEAT_BASE_METRICS_IDS_H
#define LEAT_BASE_METRICS_IDS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* One time series each: a metric with labels has several ids. The order is the order of /metrics.
 */
typedef enum leat_metric {
    /* gauges and counters */
    LEAT_M_CONNECTIONS,     /* leat_connections (gauge): WebSocket and SSE clients */
    LEAT_M_MAX_CONNECTIONS, /* leat_max_connections (gauge) */
    LEAT_M_CLIENTS_LEAT,    /* leat_clients{protocol=...} (gauge) */
    LEAT_M_CLIENTS_JSON,
    LEAT_M_CLIENTS_PROTO,
    LEAT_M_SUBS_NEW, /* leat_subscriptions{state=...} (gauge), in enum order */
    LEAT_M_SUBS_AUTHORIZING,
    LEAT_M_SUBS_ARMING,
    LEAT_M_SUBS_READING,
    LEAT_M_SUBS_REPLAYING,
    LEAT_M_SUBS_LIVE,
    LEAT_M_TOPICS,    /* leat_topics (gauge) */
    LEAT_M_POOL_IDLE, /* leat_pg_pool_connections{state="idle|busy|connecting"} */
    LEAT_M_POOL_BUSY,
    LEAT_M_POOL_CONNECTING,
    LEAT_M_POOL_WAITERS,     /* leat_pg_pool_waiters (gauge) */
    LEAT_M_POOL_HELD_CLIENT, /* leat_pg_pool_held_back_total{reason=...} */
    LEAT_M_POOL_HELD_USER,
    LEAT_M_POOL_HELD_RESERVE,
    LEAT_M_POOL_HELD_CROWD,
    LEAT_M_POOL_REFUSED,        /* leat_pg_pool_refused_total */
    LEAT_M_POOL_CANCELS,        /* leat_pg_cancels_total */
    LEAT_M_LISTENER_CONNECTED,  /* leat_listener_connected (gauge 0/1) */
    LEAT_M_LISTENER_RECONNECTS, /* leat_listener_reconnects_total */
    LEAT_M_LISTENER_CONFIRMED,  /* leat_listener_confirmed_timestamp_seconds (gauge) */
    LEAT_M_HANDSHAKES_OK,       /* leat_handshakes_total{outcome=...} (counter) */
    LEAT_M_HANDSHAKES_RESUMED,
    LEAT_M_HANDSHAKES_REFUSED,
    LEAT_M_HANDSHAKES_DEADLINE,
    LEAT_M_HANDSHAKES_UNAVAILABLE,
    LEAT_M_HANDSHAKES_INTERNAL,
    LEAT_M_HANDSHAKES_GONE,
    LEAT_M_HANDSHAKES_UNDER_WAY, /* leat_handshakes_under_way (gauge) */
    LEAT_M_HANDSHAKES_SHED_ALL,  /* leat_handshakes_shed_total{limit=...} */
    LEAT_M_HANDSHAKES_SHED_WAIT,
    LEAT_M_HANDSHAKES_SHED_USER,
    LEAT_M_HANDSHAKES_SHED_TENANT,
    LEAT_M_SUBS_REFUSED_CLIENT, /* leat_subscriptions_refused_total{limit=...} */
    LEAT_M_SUBS_REFUSED_USER,
    LEAT_M_SUBS_REFUSED_TENANT,
    LEAT_M_SNAPSHOT_READS,  /* leat_snapshot_reads_total */
    LEAT_M_STALE_SNAPSHOTS, /* leat_stale_snapshots_total */
    LEAT_M_EVENTS,          /* leat_events_total */
    LEAT_M_DELIVERIES,      /* leat_deliveries_total */
    LEAT_M_EARLY_EVENTS,    /* leat_early_events_total */
    LEAT_M_GAPS_REPAIRED,   /* leat_gaps_repaired_total */
    LEAT_M_RESYNCS_STALE,   /* leat_resyncs_total{reason=...} */
    LEAT_M_RESYNCS_HISTORY,
    LEAT_M_RESYNCS_HOOK,
    LEAT_M_RESYNCS_EPOCH,
    LEAT_M_RESYNCS_REQUESTED,
    LEAT_M_RESYNCS_TOO_LARGE,
    LEAT_M_HISTORIES_OK, /* leat_history_requests_total{outcome=...} */
    LEAT_M_HISTORIES_CUT,
    LEAT_M_HISTORIES_LOST,
    LEAT_M_HISTORIES_REFUSED,
    LEAT_M_HISTORIES_FAILED,
    LEAT_M_REAUTHORIZATIONS,  /* leat_reauthorizations_total */
    LEAT_M_SLOT_WAITERS,      /* leat_turn_waiters (gauge) */
    LEAT_M_LEFT_BEHIND,       /* leat_workers_left_behind_total */
    LEAT_M_SLOW_CLOSED,       /* leat_slow_clients_closed_total */
    LEAT_M_RING_BYTES,        /* leat_ring_bytes (gauge) */
    LEAT_M_RECEIVED_BYTES,    /* leat_received_bytes (gauge) */
    LEAT_M_LARGE_CLOSED,      /* leat_large_clients_closed_total */
    LEAT_M_IDLE_CLOSED_FIRST, /* leat_idle_clients_closed_total{limit=...} */
    LEAT_M_IDLE_CLOSED,
    LEAT_M_RING_EVICTED,      /* leat_ring_evicted_events_total */
    LEAT_M_SEND_BUFFER_BYTES, /* leat_send_buffer_bytes (gauge) */
    LEAT_M_SCRIPT_ERRORS,     /* leat_script_errors_total */
    LEAT_M_SCRIPT_BUDGET,     /* leat_script_budget_exceeded_total */
    LEAT_M_SCRIPT_MEMORY,     /* leat_script_memory_bytes (gauge) */
    LEAT_M_RELOADS_OK,        /* leat_reloads_total{outcome=...} */
    LEAT_M_RELOADS_FAILED,
    LEAT_M_RELOAD_FAILED, /* leat_reload_failed (gauge): workers whose last one failed */
    LEAT_M_JWT_OK,        /* leat_jwt_verifications_total{result=...} (counter): as the */
    LEAT_M_JWT_MALFORMED, /* leat_jwt_result of wire/jwt.h, in its order */
    LEAT_M_JWT_TOO_LARGE,
    LEAT_M_JWT_ALGORITHM,
    LEAT_M_JWT_CRITICAL,
    LEAT_M_JWT_TYPE,
    LEAT_M_JWT_KEY,
    LEAT_M_JWT_SIGNATURE,
    LEAT_M_JWT_EXPIRED,
    LEAT_M_JWT_NOT_YET_VALID,
    LEAT_M_JWT_ISSUER,
    LEAT_M_JWT_AUDIENCE,
    LEAT_M_JWT_SUBJECT,
    LEAT_M_JWT_CLAIM,
    LEAT_M_JWT_UNAVAILABLE, /* likewise: there were no keys to verify with */
    LEAT_M_JWKS_FETCHES_OK, /* leat_jwks_fetches_total{outcome=...} (counter) */
    LEAT_M_JWKS_FETCHES_FAILED,
    LEAT_M_JWKS_AGE,           /* leat_jwks_age_seconds (gauge), the largest of all threads */
    LEAT_M_ERRORS_BAD_REQUEST, /* leat_errors_total{code=...}, as leat_code from its second on */
    LEAT_M_ERRORS_UNAUTHENTICATED,
    LEAT_M_ERRORS_FORBIDDEN,
    LEAT_M_ERRORS_NOT_FOUND,
    LEAT_M_ERRORS_ALREADY_SUBSCRIBED,
    LEAT_M_ERRORS_LIMIT,
    LEAT_M_ERRORS_RATE_LIMITED,
    LEAT_M_ERRORS_DEADLINE_EXCEEDED,
    LEAT_M_ERRORS_UNAVAILABLE,
    LEAT_M_ERRORS_TOO_LARGE,
    LEAT_M_ERRORS_INTERNAL,
    LEAT_M_ERRORS_REVOKED,
    LEAT_M_HTTP_REQUESTS,    /* leat_http_requests_total */
    LEAT_M_ADDRESS_TOO_MANY, /* leat_addresses_refused_total{limit=...} */
    LEAT_M_ADDRESS_TOO_FAST,
    LEAT_M_ORIGINS_REFUSED,       /* leat_origins_refused_total */
    LEAT_M_HOSTS_REFUSED,         /* leat_hosts_refused_total */
    LEAT_M_PROXY_HEADERS_REFUSED, /* leat_proxy_headers_refused_total */
    LEAT_M_UNAUTHENTICATED,       /* leat_unauthenticated (gauge) */
    LEAT_M_AUTHENTICATED,         /* leat_authentications_total{outcome=...} */
    LEAT_M_AUTHENTICATION_REFUSED,
    LEAT_M_AUTHENTICATION_LATE,
    LEAT_M_AUTHENTICATION_FULL,
    LEAT_M_HTTP_SHED,        /* leat_http_shed_total */
    LEAT_M_HOST_REQUESTS,    /* leat_host_requests (gauge) */
    LEAT_M_HOST_REFUSED,     /* leat_host_requests_refused_total */
    LEAT_M_GUEST_BYTES,      /* leat_guest_bytes (gauge) */
    LEAT_M_REQUEST_BYTES,    /* leat_request_bytes (gauge) */
    LEAT_M_GZIP_CACHE_BYTES, /* leat_gzip_cache_bytes (gauge) */
    LEAT_M_GZIP_NO_ROOM,     /* leat_gzip_no_room_total */
    LEAT_M_HTTP_REJECTED,    /* leat_http_rejected_total: malformed, too large, too slow */
    LEAT_M_PROTOCOL_ERRORS,  /* leat_protocol_errors_total: closes for RFC 6455 violations */
    LEAT_M_LIMITED_MESSAGES, /* leat_rate_limited_total{limit=...} */
    LEAT_M_LIMITED_BYTES,
    LEAT_M_LIMITED_CONTROLS,
    LEAT_M_LIMITED_PUBLISHES,
    LEAT_M_LIMITED_REQUESTS,
    LEAT_M_LIMITED_SUBSCRIBES,
    LEAT_M_FLOODS_CLOSED,       /* leat_flooding_clients_closed_total */
    LEAT_M_BAD_REQUESTS,        /* leat_bad_requests_total: messages answered bad_request */
    LEAT_M_MESSAGES_TOO_LARGE,  /* leat_messages_too_large_total: over max_message_values */
    LEAT_M_CONNECTIONS_REFUSED, /* leat_connections_refused_total: over max_connections */
    LEAT_M_TRIMMED_EVENTS,      /* leat_trimmed_events_total */
    LEAT_M_TRIM_BACKLOG,        /* leat_trim_backlog_seconds */
    LEAT_M_OUTBOX_TOPICS,       /* leat_outbox_topics (gauge) */
    LEAT_M_SIGNALS_DROPPED,     /* leat_signals_dropped_total */
    LEAT_M_SIGNALS_CONFLATED,   /* leat_signals_conflated_total */
    LEAT_M_KEPT_SIGNAL_BYTES,   /* leat_kept_signal_bytes (gauge) */
    LEAT_M_MAIL_BYTES,          /* leat_mail_bytes (gauge) */
    LEAT_M_CONTROL_REQUESTS,    /* leat_control_requests_total */
    LEAT_M_CONTROL_REFUSED,     /* leat_control_connections_refused_total */
    LEAT_M_CONSOLE_REQUESTS,    /* leat_console_requests_total */
    LEAT_M_CONSOLE_REFUSED,     /* leat_console_refused_total: without the token, or a wrong one */
    LEAT_M_CONSOLE_LIMITED,     /* leat_console_limited_total: after too many wrong tokens */
    LEAT_M_CONSOLE_STREAMS,     /* leat_console_streams (gauge) */
    LEAT_M_LOG_DROPPED_RATE,    /* leat_log_lines_dropped_total{reason=...} */
    LEAT_M_LOG_DROPPED_FULL,
    LEAT_M_LOG_DROPPED_FAILED,

    LEAT_M_TLS_FULL, /* leat_tls_handshakes_total{kind=...} */
    LEAT_M_TLS_RESUMED,
    LEAT_M_TLS_UNDER_WAY,      /* leat_tls_handshakes_under_way (gauge) */
    LEAT_M_TLS_FAILED_TIMEOUT, /* leat_tls_handshake_failures_total{reason=...} */
    LEAT_M_TLS_FAILED_CROWDED, /* dropped for a newer one */
    LEAT_M_TLS_FAILED_GONE,    /* the peer has left */
    LEAT_M_TLS_FAILED_PLAIN,   /* the peer does not speak TLS, but HTTP */
    LEAT_M_TLS_FAILED_VERSION, /* no version in common */
    LEAT_M_TLS_FAILED_CIPHER,  /* no cipher, group or signature in common */
    LEAT_M_TLS_FAILED_ALPN,    /* the peer does not want http/1.1 */
    LEAT_M_TLS_FAILED_CLIENT,  /* no client certificate, or a bad one */
    LEAT_M_TLS_FAILED_ALERT,   /* the peer has refused: the certificate, most often */
    LEAT_M_TLS_FAILED_OTHER,
    LEAT_M_TLS_IN_PROCESS, /* leat_tls_connections{encryption=...} (gauge) */
    LEAT_M_TLS_IN_KERNEL,
    LEAT_M_TLS_RELOADS_OK, /* leat_tls_reloads_total{outcome=...} */
    LEAT_M_TLS_RELOADS_FAILED,
    LEAT_M_TLS_EXPIRY, /* leat_tls_certificate_expiry_seconds (gauge) */

    LEAT_M_ANNOUNCEMENTS_REFUSED, /* leat_announcements_refused_total */
    LEAT_M_FETCH_FAILURES_HIDDEN, /* leat_fetch_failures_total{reason=...} */
    LEAT_M_FETCH_FAILURES_MISSING,
    LEAT_M_FETCH_FAILURES_UNCONFIRMED,
    LEAT_M_FETCH_FAILURES_DENIED,
    LEAT_M_FETCH_FAILURES_DEADLINE,
    LEAT_M_FETCH_FAILURES_UNAVAILABLE,
    LEAT_M_FETCH_FAILURES_OTHER,
    LEAT_M_TOPICS_UNREADABLE, /* leat_topics_unreadable (gauge) */
    LEAT_M_SCHEMA_PROBLEMS,   /* leat_schema_problems (gauge) */
    LEAT_M_SCHEMA_TOO_NEW,    /* leat_schema_too_new (gauge 0/1) */
    LEAT_M_CONFINED_LANDLOCK, /* leat_confined{by=...} (gauge 0/1) */
    LEAT_M_CONFINED_SECCOMP,
    LEAT_M_SYSTEM_CALLS_REFUSED, /* leat_system_calls_refused_total */

    LEAT_M_COUNT
} leat_metric;

typedef enum leat_histogram {
    LEAT_H_COMMIT_TO_CLIENT, /* leat_commit_to_client_seconds */
    LEAT_H_HANDSHAKE,        /* leat_handshake_seconds */
    LEAT_H_STAGE_QUEUE,      /* leat_handshake_stage_seconds{stage=...} */
    LEAT_H_STAGE_AUTHORISE,
    LEAT_H_STAGE_ARM,
    LEAT_H_STAGE_READ,
    LEAT_H_STAGE_REPLAY,
    LEAT_H_RETRY_AFTER, /* leat_retry_after_seconds */
    LEAT_H_QUERY,       /* leat_query_seconds */
    LEAT_H_COUNT
} leat_histogram;

typedef enum leat_labelled_family {
    LEAT_LABELLED_PATTERN, /* of topics */
    LEAT_LABELLED_HANDLER, /* which kind of handler, and the pattern, name or path it is for */
    LEAT_LABELLED_FAMILIES,
} leat_labelled_family;

/* The metrics with labels. Each belongs to one family. */
typedef enum leat_labelled_metric {
    LEAT_L_TOPICS,        /* leat_pattern_topics (gauge) */
    LEAT_L_SUBSCRIPTIONS, /* leat_pattern_subscriptions (gauge) */
    LEAT_L_EVENTS,        /* leat_pattern_events_total */
    LEAT_L_DELIVERIES,    /* leat_pattern_deliveries_total */
    LEAT_L_HANDSHAKES_OK, /* leat_pattern_handshakes_total{outcome=...}, as LEAT_M_HANDSHAKES_OK */
    LEAT_L_HANDSHAKES_RESUMED,
    LEAT_L_HANDSHAKES_REFUSED,
    LEAT_L_HANDSHAKES_DEADLINE,
    LEAT_L_HANDSHAKES_UNAVAILABLE,
    LEAT_L_HANDSHAKES_INTERNAL,
    LEAT_L_HANDSHAKES_GONE,
    LEAT_L_ERRORS, /* leat_handler_errors_total */
    LEAT_L_COUNT,
} leat_labelled_metric;

enum { LEAT_METRICS_BOUNDS = 16 };

/* A histogram of one thread. Each range counts its own observations; the last one those above all
 * bounds. */
typedef struct leat_metrics_cells {
    _Atomic int64_t ranges_[LEAT_METRICS_BOUNDS + 1];
    _Atomic int64_t sum_ns_;
} leat_metrics_cells;

/* How many observations there were of each range, and their sum: over all threads since the start.
 * The last range is above all bounds. */
typedef struct leat_metrics_counts {
    int64_t ranges[LEAT_METRICS_BOUNDS + 1];
    int64_t sum_ns;
} leat_metrics_counts;

#endif
