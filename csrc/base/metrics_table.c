/* metrics_table.c - the name, type, label and help text of each series. */
#include "base/metrics_table.h"

#define GAUGE(name, help)                                                                          \
    {                                                                                              \
        name, "gauge", NULL, help                                                                  \
    }
#define COUNTER(name, help)                                                                        \
    {                                                                                              \
        name, "counter", NULL, help                                                                \
    }
#define SUBS(state)                                                                                \
    {                                                                                              \
        "leat_subscriptions", "gauge", "state=\"" state "\"", "Subscriptions by state."            \
    }
#define POOL(state)                                                                                \
    {                                                                                              \
        "leat_pg_pool_connections", "gauge", "state=\"" state "\"",                                \
            "Connections of the Postgres pools by state."                                          \
    }
#define HANDSHAKES(outcome)                                                                        \
    {                                                                                              \
        "leat_handshakes_total", "counter", "outcome=\"" outcome "\"",                             \
            "Subscription handshakes that ended, by outcome."                                      \
    }
#define HISTORIES(outcome)                                                                         \
    {                                                                                              \
        "leat_history_requests_total", "counter", "outcome=\"" outcome "\"",                       \
            "Clients' requests for stored events, by what became of them."                         \
    }
#define CONFINED(by)                                                                               \
    {                                                                                              \
        "leat_confined", "gauge", "by=\"" by "\"",                                                 \
            "1 if the process has given up rights by this mechanism of the kernel."                \
    }
#define FETCH_FAILURES(reason)                                                                     \
    {                                                                                              \
        "leat_fetch_failures_total", "counter", "reason=\"" reason "\"",                           \
            "Reads of the outbox, or of a position in it, that failed."                            \
    }
#define ADDRESSES(limit)                                                                           \
    {                                                                                              \
        "leat_addresses_refused_total", "counter", "limit=\"" limit "\"",                          \
            "Connections refused because their address has too many, or opens them too fast."      \
    }
#define AUTHENTICATIONS(outcome)                                                                   \
    {                                                                                              \
        "leat_authentications_total", "counter", "outcome=\"" outcome "\"",                        \
            "First messages with a token, by what became of their client."                         \
    }
#define LIMITED(limit)                                                                             \
    {                                                                                              \
        "leat_rate_limited_total", "counter", "limit=\"" limit "\"",                               \
            "Times that a client sent more than its rate allows, or that of its address."          \
    }
#define SHED(limit)                                                                                \
    {                                                                                              \
        "leat_handshakes_shed_total", "counter", "limit=\"" limit "\"",                            \
            "Handshakes refused at once, because too many were under way or waited."               \
    }
#define SUBS_REFUSED(limit)                                                                        \
    {                                                                                              \
        "leat_subscriptions_refused_total", "counter", "limit=\"" limit "\"",                      \
            "Subscriptions refused because there were too many."                                   \
    }
#define IDLE(limit)                                                                                \
    {                                                                                              \
        "leat_idle_clients_closed_total", "counter", "limit=\"" limit "\"",                        \
            "Clients closed because they said nothing and waited for nothing."                     \
    }
#define RESYNCS(reason)                                                                            \
    {                                                                                              \
        "leat_resyncs_total", "counter", "reason=\"" reason "\"",                                  \
            "Snapshots sent to live subscriptions, by reason."                                     \
    }
#define HELD_BACK(reason)                                                                          \
    {                                                                                              \
        "leat_pg_pool_held_back_total", "counter", "reason=\"" reason "\"",                        \
            "Times that a caller waited because a share of the pool was used up."                  \
    }
#define JWT(result)                                                                                \
    {                                                                                              \
        "leat_jwt_verifications_total", "counter", "result=\"" result "\"",                        \
            "Tokens that leat.jwt.verify looked at, by result."                                    \
    }
#define JWKS_FETCHES(outcome)                                                                      \
    {                                                                                              \
        "leat_jwks_fetches_total", "counter", "outcome=\"" outcome "\"",                           \
            "Fetches of the keys of a URL, by outcome."                                            \
    }
#define LOG_DROPPED(reason)                                                                        \
    {                                                                                              \
        "leat_log_lines_dropped_total", "counter", "reason=\"" reason "\"",                        \
            "Lines that the log left out: too many of a kind, no room, or not to be written."      \
    }

#define ERRORS(code)                                                                               \
    {                                                                                              \
        "leat_errors_total", "counter", "code=\"" code "\"",                                       \
            "Errors that clients were told, over any protocol, by their code."                     \
    }
#define RELOADS(outcome)                                                                           \
    {                                                                                              \
        "leat_reloads_total", "counter", "outcome=\"" outcome "\"",                                \
            "Reloads of the scripts, once a worker, by outcome."                                   \
    }
#define TLS_HANDSHAKES(kind)                                                                       \
    {                                                                                              \
        "leat_tls_handshakes_total", "counter", "kind=\"" kind "\"",                               \
            "TLS handshakes that have succeeded."                                                  \
    }
#define TLS_FAILURES(reason)                                                                       \
    {                                                                                              \
        "leat_tls_handshake_failures_total", "counter", "reason=\"" reason "\"",                   \
            "TLS handshakes that have failed, by reason."                                          \
    }
#define TLS_CONNECTIONS(encryption)                                                                \
    {                                                                                              \
        "leat_tls_connections", "gauge", "encryption=\"" encryption "\"",                          \
            "Open TLS connections, by who encrypts what is sent."                                  \
    }
#define TLS_RELOADS(outcome)                                                                       \
    {                                                                                              \
        "leat_tls_reloads_total", "counter", "outcome=\"" outcome "\"",                            \
            "Certificates that were loaded anew, or could not be."                                 \
    }

#define CLIENTS(protocol)                                                                          \
    {                                                                                              \
        "leat_clients", "gauge", "protocol=\"" protocol "\"",                                      \
            "WebSocket and SSE clients, by protocol. Raw sockets are none."                        \
    }

const leat_metrics_series leat_metrics_table[LEAT_M_COUNT] = {
    [LEAT_M_CONNECTIONS] = GAUGE("leat_connections", "WebSocket and SSE clients."),
    [LEAT_M_MAX_CONNECTIONS] = GAUGE("leat_max_connections", "The key max_connections."),
    [LEAT_M_CLIENTS_LEAT] = CLIENTS("leat.v1"),
    [LEAT_M_CLIENTS_JSON] = CLIENTS("centrifuge-json"),
    [LEAT_M_CLIENTS_PROTO] = CLIENTS("centrifuge-protobuf"),
    [LEAT_M_SUBS_NEW] = SUBS("new"),
    [LEAT_M_SUBS_AUTHORIZING] = SUBS("authorizing"),
    [LEAT_M_SUBS_ARMING] = SUBS("arming"),
    [LEAT_M_SUBS_READING] = SUBS("reading"),
    [LEAT_M_SUBS_REPLAYING] = SUBS("replaying"),
    [LEAT_M_SUBS_LIVE] = SUBS("live"),
    [LEAT_M_TOPICS] =
        GAUGE("leat_topics", "Topics held in memory; once for each worker that holds them."),
    [LEAT_M_POOL_IDLE] = POOL("idle"),
    [LEAT_M_POOL_BUSY] = POOL("busy"),
    [LEAT_M_POOL_CONNECTING] = POOL("connecting"),
    [LEAT_M_POOL_WAITERS] =
        GAUGE("leat_pg_pool_waiters", "Callers waiting for a connection of the Postgres pools."),
    [LEAT_M_POOL_HELD_CLIENT] = HELD_BACK("client"),
    [LEAT_M_POOL_HELD_USER] = HELD_BACK("user"),
    [LEAT_M_POOL_HELD_RESERVE] = HELD_BACK("reserve"),
    [LEAT_M_POOL_HELD_CROWD] = HELD_BACK("crowd"),
    [LEAT_M_POOL_REFUSED] = COUNTER("leat_pg_pool_refused_total",
                                    "Callers refused because too many waited for a connection."),
    [LEAT_M_POOL_CANCELS] =
        COUNTER("leat_pg_cancels_total", "Queries cancelled at the server past their deadline."),
    [LEAT_M_LISTENER_CONNECTED] =
        GAUGE("leat_listener_connected", "1 while the LISTEN connection is up."),
    [LEAT_M_LISTENER_RECONNECTS] =
        COUNTER("leat_listener_reconnects_total", "Reconnects of the LISTEN connection."),
    [LEAT_M_LISTENER_CONFIRMED] =
        GAUGE("leat_listener_confirmed_timestamp_seconds",
              "Time up to which all announcements are known to have arrived; 0 before any is."),
    [LEAT_M_HANDSHAKES_OK] = HANDSHAKES("ok"),
    [LEAT_M_HANDSHAKES_RESUMED] = HANDSHAKES("resumed"),
    [LEAT_M_HANDSHAKES_REFUSED] = HANDSHAKES("refused"),
    [LEAT_M_HANDSHAKES_DEADLINE] = HANDSHAKES("deadline_exceeded"),
    [LEAT_M_HANDSHAKES_UNAVAILABLE] = HANDSHAKES("unavailable"),
    [LEAT_M_HANDSHAKES_INTERNAL] = HANDSHAKES("internal"),
    [LEAT_M_HANDSHAKES_GONE] = HANDSHAKES("gone"),
    [LEAT_M_HANDSHAKES_UNDER_WAY] =
        GAUGE("leat_handshakes_under_way", "Subscribes and requests for scripts, unanswered."),
    [LEAT_M_HANDSHAKES_SHED_ALL] = SHED("all"),
    [LEAT_M_HANDSHAKES_SHED_WAIT] = SHED("wait"),
    [LEAT_M_HANDSHAKES_SHED_USER] = SHED("user"),
    [LEAT_M_HANDSHAKES_SHED_TENANT] = SHED("tenant"),
    [LEAT_M_SUBS_REFUSED_CLIENT] = SUBS_REFUSED("client"),
    [LEAT_M_SUBS_REFUSED_USER] = SUBS_REFUSED("user"),
    [LEAT_M_SUBS_REFUSED_TENANT] = SUBS_REFUSED("tenant"),
    [LEAT_M_SNAPSHOT_READS] = COUNTER("leat_snapshot_reads_total", "Snapshot reads begun."),
    [LEAT_M_STALE_SNAPSHOTS] =
        COUNTER("leat_stale_snapshots_total", "Snapshots composed from the authorised row because "
                                              "it could not be read again."),
    [LEAT_M_EVENTS] = COUNTER("leat_events_total", "Events received, once each."),
    [LEAT_M_DELIVERIES] = COUNTER("leat_deliveries_total", "Events sent, once a recipient."),
    [LEAT_M_EARLY_EVENTS] =
        COUNTER("leat_early_events_total", "Events sent before their commit, by the clocks: that "
                                           "of the server is behind that of Postgres."),
    [LEAT_M_GAPS_REPAIRED] =
        COUNTER("leat_gaps_repaired_total", "Holes in a topic filled from the outbox."),
    [LEAT_M_RESYNCS_STALE] = RESYNCS("stale"),
    [LEAT_M_RESYNCS_HISTORY] = RESYNCS("history"),
    [LEAT_M_RESYNCS_HOOK] = RESYNCS("hook"),
    [LEAT_M_RESYNCS_EPOCH] = RESYNCS("epoch"),
    [LEAT_M_RESYNCS_REQUESTED] = RESYNCS("requested"),
    [LEAT_M_RESYNCS_TOO_LARGE] = RESYNCS("too_large"),
    [LEAT_M_HISTORIES_OK] = HISTORIES("ok"),
    [LEAT_M_HISTORIES_CUT] = HISTORIES("cut"),
    [LEAT_M_HISTORIES_LOST] = HISTORIES("lost"),
    [LEAT_M_HISTORIES_REFUSED] = HISTORIES("refused"),
    [LEAT_M_HISTORIES_FAILED] = HISTORIES("failed"),
    [LEAT_M_REAUTHORIZATIONS] =
        COUNTER("leat_reauthorizations_total", "Subscribe handlers run again for a subscription."),
    [LEAT_M_SLOT_WAITERS] = GAUGE("leat_turn_waiters",
                                  "Subscriptions waiting for a database slot to renew themselves."),
    [LEAT_M_LEFT_BEHIND] = COUNTER(
        "leat_workers_left_behind_total",
        "Times that a topic's events were kept from a worker, since too much waited for it."),
    [LEAT_M_SLOW_CLOSED] =
        COUNTER("leat_slow_clients_closed_total", "Clients closed because they did not read."),
    [LEAT_M_RING_BYTES] = GAUGE("leat_ring_bytes", "Bytes of recent events held in memory."),
    [LEAT_M_RECEIVED_BYTES] =
        GAUGE("leat_received_bytes", "Bytes that clients have sent and that are held for them."),
    [LEAT_M_LARGE_CLOSED] =
        COUNTER("leat_large_clients_closed_total", "Clients closed because of max_client_bytes."),
    [LEAT_M_IDLE_CLOSED_FIRST] = IDLE("first_message"),
    [LEAT_M_IDLE_CLOSED] = IDLE("idle"),
    [LEAT_M_RING_EVICTED] = COUNTER("leat_ring_evicted_events_total",
                                    "Events that left memory because of max_ring_bytes."),
    [LEAT_M_SEND_BUFFER_BYTES] =
        GAUGE("leat_send_buffer_bytes", "Bytes accepted for sending and not yet taken."),
    [LEAT_M_SCRIPT_ERRORS] = COUNTER("leat_script_errors_total", "Errors raised by scripts."),
    [LEAT_M_SCRIPT_BUDGET] = COUNTER("leat_script_budget_exceeded_total",
                                     "Script tasks stopped for computing too long."),
    [LEAT_M_SCRIPT_MEMORY] = GAUGE("leat_script_memory_bytes", "Memory held by scripts."),
    [LEAT_M_RELOADS_OK] = RELOADS("ok"),
    [LEAT_M_RELOADS_FAILED] = RELOADS("failed"),
    [LEAT_M_RELOAD_FAILED] =
        GAUGE("leat_reload_failed", "Workers whose last reload has failed and changed nothing."),
    [LEAT_M_JWT_OK] = JWT("ok"),
    [LEAT_M_JWT_MALFORMED] = JWT("malformed"),
    [LEAT_M_JWT_TOO_LARGE] = JWT("too_large"),
    [LEAT_M_JWT_ALGORITHM] = JWT("algorithm"),
    [LEAT_M_JWT_CRITICAL] = JWT("critical"),
    [LEAT_M_JWT_TYPE] = JWT("type"),
    [LEAT_M_JWT_KEY] = JWT("key"),
    [LEAT_M_JWT_SIGNATURE] = JWT("signature"),
    [LEAT_M_JWT_EXPIRED] = JWT("expired"),
    [LEAT_M_JWT_NOT_YET_VALID] = JWT("not_yet_valid"),
    [LEAT_M_JWT_ISSUER] = JWT("issuer"),
    [LEAT_M_JWT_AUDIENCE] = JWT("audience"),
    [LEAT_M_JWT_SUBJECT] = JWT("subject"),
    [LEAT_M_JWT_CLAIM] = JWT("claim"),
    [LEAT_M_JWT_UNAVAILABLE] = JWT("unavailable"),
    [LEAT_M_JWKS_FETCHES_OK] = JWKS_FETCHES("ok"),
    [LEAT_M_JWKS_FETCHES_FAILED] = JWKS_FETCHES("failed"),
    [LEAT_M_JWKS_AGE] =
        GAUGE("leat_jwks_age_seconds", "Age of the oldest keys of a URL at the last fetch."),
    [LEAT_M_ERRORS_BAD_REQUEST] = ERRORS("bad_request"),
    [LEAT_M_ERRORS_UNAUTHENTICATED] = ERRORS("unauthenticated"),
    [LEAT_M_ERRORS_FORBIDDEN] = ERRORS("forbidden"),
    [LEAT_M_ERRORS_NOT_FOUND] = ERRORS("not_found"),
    [LEAT_M_ERRORS_ALREADY_SUBSCRIBED] = ERRORS("already_subscribed"),
    [LEAT_M_ERRORS_LIMIT] = ERRORS("limit"),
    [LEAT_M_ERRORS_RATE_LIMITED] = ERRORS("rate_limited"),
    [LEAT_M_ERRORS_DEADLINE_EXCEEDED] = ERRORS("deadline_exceeded"),
    [LEAT_M_ERRORS_UNAVAILABLE] = ERRORS("unavailable"),
    [LEAT_M_ERRORS_TOO_LARGE] = ERRORS("too_large"),
    [LEAT_M_ERRORS_INTERNAL] = ERRORS("internal"),
    [LEAT_M_ERRORS_REVOKED] = ERRORS("revoked"),
    [LEAT_M_HTTP_REQUESTS] = COUNTER("leat_http_requests_total", "HTTP requests received."),
    [LEAT_M_ADDRESS_TOO_MANY] = ADDRESSES("connections"),
    [LEAT_M_ADDRESS_TOO_FAST] = ADDRESSES("rate"),
    [LEAT_M_ORIGINS_REFUSED] =
        COUNTER("leat_origins_refused_total", "Requests of web pages whose origin is not allowed."),
    [LEAT_M_HOSTS_REFUSED] =
        COUNTER("leat_hosts_refused_total", "Requests for a host that is not allowed."),
    [LEAT_M_PROXY_HEADERS_REFUSED] =
        COUNTER("leat_proxy_headers_refused_total",
                "Connections closed because no PROXY header came, or a malformed one."),
    [LEAT_M_UNAUTHENTICATED] =
        GAUGE("leat_unauthenticated", "WebSocket clients whose first message, with the token, "
                                      "is awaited or looked at."),
    [LEAT_M_AUTHENTICATED] = AUTHENTICATIONS("ok"),
    [LEAT_M_AUTHENTICATION_REFUSED] = AUTHENTICATIONS("refused"),
    [LEAT_M_AUTHENTICATION_LATE] = AUTHENTICATIONS("late"),
    [LEAT_M_AUTHENTICATION_FULL] = AUTHENTICATIONS("full"),
    [LEAT_M_HTTP_SHED] =
        COUNTER("leat_http_shed_total",
                "Requests answered 503 because max_guest_bytes or max_request_bytes was reached."),
    [LEAT_M_HOST_REQUESTS] =
        GAUGE("leat_host_requests",
              "Calls and publishes that wait for the program that embeds the server."),
    [LEAT_M_HOST_REFUSED] = COUNTER("leat_host_requests_refused_total",
                                    "Calls and publishes refused because of max_host_requests."),
    [LEAT_M_GUEST_BYTES] =
        GAUGE("leat_guest_bytes", "Bytes held for HTTP connections whose caller is not let in."),
    [LEAT_M_REQUEST_BYTES] =
        GAUGE("leat_request_bytes", "Bytes held for HTTP requests whose caller was let in."),
    [LEAT_M_GZIP_CACHE_BYTES] =
        GAUGE("leat_gzip_cache_bytes", "Bytes of compressed files kept in memory."),
    [LEAT_M_GZIP_NO_ROOM] = COUNTER("leat_gzip_no_room_total",
                                    "Files sent uncompressed because gzip_cache_bytes is reached."),
    [LEAT_M_HTTP_REJECTED] = COUNTER("leat_http_rejected_total",
                                     "HTTP requests that were malformed, too large or too slow."),
    [LEAT_M_PROTOCOL_ERRORS] =
        COUNTER("leat_protocol_errors_total", "Connections closed for breaking RFC 6455."),
    [LEAT_M_LIMITED_MESSAGES] = LIMITED("messages"),
    [LEAT_M_LIMITED_BYTES] = LIMITED("bytes"),
    [LEAT_M_LIMITED_CONTROLS] = LIMITED("controls"),
    [LEAT_M_LIMITED_PUBLISHES] = LIMITED("publishes"),
    [LEAT_M_LIMITED_REQUESTS] = LIMITED("requests"),
    [LEAT_M_LIMITED_SUBSCRIBES] = LIMITED("subscribes"),
    [LEAT_M_FLOODS_CLOSED] = COUNTER("leat_flooding_clients_closed_total",
                                     "Clients closed because they sent far too much."),
    [LEAT_M_MESSAGES_TOO_LARGE] =
        COUNTER("leat_messages_too_large_total", "Messages refused over max_message_values."),
    [LEAT_M_BAD_REQUESTS] =
        COUNTER("leat_bad_requests_total", "Messages answered with bad_request."),
    [LEAT_M_CONNECTIONS_REFUSED] =
        COUNTER("leat_connections_refused_total", "Connections refused over max_connections."),
    [LEAT_M_TRIMMED_EVENTS] =
        COUNTER("leat_trimmed_events_total", "Events trimmed from the outbox."),
    [LEAT_M_TRIM_BACKLOG] = GAUGE("leat_trim_backlog_seconds",
                                  "Age of the oldest event that trimming has not looked at."),
    [LEAT_M_OUTBOX_TOPICS] =
        GAUGE("leat_outbox_topics", "Topics that the database has, as its planner estimates."),
    [LEAT_M_SIGNALS_DROPPED] =
        COUNTER("leat_signals_dropped_total", "Signals not sent to clients that did not read."),
    [LEAT_M_SIGNALS_CONFLATED] =
        COUNTER("leat_signals_conflated_total",
                "Conflating signals that a newer one replaced before their client could take it."),
    [LEAT_M_KEPT_SIGNAL_BYTES] =
        GAUGE("leat_kept_signal_bytes", "Bytes of conflating signals kept for clients behind."),
    [LEAT_M_MAIL_BYTES] =
        GAUGE("leat_mail_bytes", "Bytes of events on their way from the hub to the workers."),
    [LEAT_M_CONTROL_REQUESTS] =
        COUNTER("leat_control_requests_total", "Requests on the operator's socket."),
    [LEAT_M_CONTROL_REFUSED] = COUNTER("leat_control_connections_refused_total",
                                       "Connections to the operator's socket beyond its limit."),
    [LEAT_M_CONSOLE_REQUESTS] = COUNTER("leat_console_requests_total", "Requests to the console."),
    [LEAT_M_CONSOLE_REFUSED] = COUNTER(
        "leat_console_refused_total", "Requests to the console without its token, or a wrong one."),
    [LEAT_M_CONSOLE_LIMITED] =
        COUNTER("leat_console_limited_total",
                "Requests to the console that were refused unseen, after wrong tokens from there."),
    [LEAT_M_CONSOLE_STREAMS] =
        GAUGE("leat_console_streams", "Pages of the console that are open, and get each sample."),
    [LEAT_M_LOG_DROPPED_RATE] = LOG_DROPPED("rate"),
    [LEAT_M_LOG_DROPPED_FULL] = LOG_DROPPED("full"),
    [LEAT_M_LOG_DROPPED_FAILED] = LOG_DROPPED("failed"),
    [LEAT_M_TLS_FULL] = TLS_HANDSHAKES("full"),
    [LEAT_M_TLS_RESUMED] = TLS_HANDSHAKES("resumed"),
    [LEAT_M_TLS_UNDER_WAY] =
        GAUGE("leat_tls_handshakes_under_way", "TLS handshakes that have not ended yet."),
    [LEAT_M_TLS_FAILED_TIMEOUT] = TLS_FAILURES("timeout"),
    [LEAT_M_TLS_FAILED_CROWDED] = TLS_FAILURES("crowded"),
    [LEAT_M_TLS_FAILED_GONE] = TLS_FAILURES("gone"),
    [LEAT_M_TLS_FAILED_PLAIN] = TLS_FAILURES("plain_http"),
    [LEAT_M_TLS_FAILED_VERSION] = TLS_FAILURES("version"),
    [LEAT_M_TLS_FAILED_CIPHER] = TLS_FAILURES("cipher"),
    [LEAT_M_TLS_FAILED_ALPN] = TLS_FAILURES("alpn"),
    [LEAT_M_TLS_FAILED_CLIENT] = TLS_FAILURES("client_certificate"),
    [LEAT_M_TLS_FAILED_ALERT] = TLS_FAILURES("alert"),
    [LEAT_M_TLS_FAILED_OTHER] = TLS_FAILURES("other"),
    [LEAT_M_TLS_IN_PROCESS] = TLS_CONNECTIONS("process"),
    [LEAT_M_TLS_IN_KERNEL] = TLS_CONNECTIONS("kernel"),
    [LEAT_M_TLS_RELOADS_OK] = TLS_RELOADS("ok"),
    [LEAT_M_TLS_RELOADS_FAILED] = TLS_RELOADS("failed"),
    [LEAT_M_TLS_EXPIRY] =
        GAUGE("leat_tls_certificate_expiry_seconds",
              "When the first of the certificates expires, in seconds since the epoch; 0: none."),
    [LEAT_M_ANNOUNCEMENTS_REFUSED] =
        COUNTER("leat_announcements_refused_total",
                "Notifications on the channel that no function of schema leat wrote."),
    [LEAT_M_FETCH_FAILURES_HIDDEN] = FETCH_FAILURES("hidden"),
    [LEAT_M_FETCH_FAILURES_MISSING] = FETCH_FAILURES("missing"),
    [LEAT_M_FETCH_FAILURES_UNCONFIRMED] = FETCH_FAILURES("unconfirmed"),
    [LEAT_M_FETCH_FAILURES_DENIED] = FETCH_FAILURES("denied"),
    [LEAT_M_FETCH_FAILURES_DEADLINE] = FETCH_FAILURES("deadline"),
    [LEAT_M_FETCH_FAILURES_UNAVAILABLE] = FETCH_FAILURES("unavailable"),
    [LEAT_M_FETCH_FAILURES_OTHER] = FETCH_FAILURES("other"),
    [LEAT_M_CONFINED_LANDLOCK] = CONFINED("landlock"),
    [LEAT_M_CONFINED_SECCOMP] = CONFINED("seccomp"),
    [LEAT_M_SYSTEM_CALLS_REFUSED] =
        COUNTER("leat_system_calls_refused_total",
                "System calls that the process made though a server does not need them."),
    [LEAT_M_SCHEMA_PROBLEMS] = GAUGE("leat_schema_problems",
                                     "Errors and warnings that leat_internal.problems() tells of."),
    [LEAT_M_SCHEMA_TOO_NEW] =
        GAUGE("leat_schema_too_new", "1 while schema leat needs a newer server, else 0."),
    [LEAT_M_TOPICS_UNREADABLE] = GAUGE(
        "leat_topics_unreadable", "Topics whose events the outbox does not give up at present."),
};

#define STAGE(stage)                                                                               \
    {                                                                                              \
        "leat_handshake_stage_seconds", "histogram", "stage=\"" stage "\"",                        \
            "What a subscribe's time went into, by stage."                                         \
    }

const leat_metrics_series leat_metrics_histograms[LEAT_H_COUNT] = {
    [LEAT_H_COMMIT_TO_CLIENT] = {"leat_commit_to_client_seconds", "histogram", NULL,
                                 "From the commit of an event until it is written to the sockets "
                                 "of its subscribers; once an event and worker."},
    [LEAT_H_STAGE_QUEUE] = STAGE("queue"),
    [LEAT_H_STAGE_AUTHORISE] = STAGE("authorise"),
    [LEAT_H_STAGE_ARM] = STAGE("arm"),
    [LEAT_H_STAGE_READ] = STAGE("read"),
    [LEAT_H_STAGE_REPLAY] = STAGE("replay"),
    [LEAT_H_HANDSHAKE] = {"leat_handshake_seconds", "histogram", NULL,
                          "From a subscribe request to its answer."},
    [LEAT_H_RETRY_AFTER] = {"leat_retry_after_seconds", "histogram", NULL,
                            "Estimates of when a request that is unavailable would be served."},
    [LEAT_H_QUERY] = {"leat_query_seconds", "histogram", NULL,
                      "Time from sending a query to its answer."},
};

#define PATTERN(name, type, label, help)                                                           \
    {                                                                                              \
        LEAT_LABELLED_PATTERN,                                                                     \
        {                                                                                          \
            name, type, label, help                                                                \
        }                                                                                          \
    }
#define PATTERN_HANDSHAKES(outcome)                                                                \
    PATTERN("leat_pattern_handshakes_total", "counter", "outcome=\"" outcome "\"",                 \
            "Subscription handshakes that ended, by topic pattern and outcome.")

/* The label of a series is what stands behind that of the set. */
const leat_metrics_labelled leat_metrics_labels[LEAT_L_COUNT] = {
    [LEAT_L_TOPICS] =
        PATTERN("leat_pattern_topics", "gauge", NULL,
                "Topics held in memory, by their pattern; once for each worker that holds them."),
    [LEAT_L_SUBSCRIPTIONS] = PATTERN("leat_pattern_subscriptions", "gauge", NULL,
                                     "Subscriptions that are armed, by topic pattern."),
    [LEAT_L_EVENTS] = PATTERN("leat_pattern_events_total", "counter", NULL,
                              "Events that came to a worker with subscribers, by topic pattern."),
    [LEAT_L_DELIVERIES] = PATTERN("leat_pattern_deliveries_total", "counter", NULL,
                                  "Events sent, once a recipient, by topic pattern."),
    [LEAT_L_HANDSHAKES_OK] = PATTERN_HANDSHAKES("ok"),
    [LEAT_L_HANDSHAKES_RESUMED] = PATTERN_HANDSHAKES("resumed"),
    [LEAT_L_HANDSHAKES_REFUSED] = PATTERN_HANDSHAKES("refused"),
    [LEAT_L_HANDSHAKES_DEADLINE] = PATTERN_HANDSHAKES("deadline_exceeded"),
    [LEAT_L_HANDSHAKES_UNAVAILABLE] = PATTERN_HANDSHAKES("unavailable"),
    [LEAT_L_HANDSHAKES_INTERNAL] = PATTERN_HANDSHAKES("internal"),
    [LEAT_L_HANDSHAKES_GONE] = PATTERN_HANDSHAKES("gone"),
    [LEAT_L_ERRORS] = {LEAT_LABELLED_HANDLER,
                       {"leat_handler_errors_total", "counter", NULL,
                        "Errors raised by a handler, and runs stopped for computing too long."}},
};

const leat_metrics_series leat_metrics_handler_seconds = {
    "leat_handler_seconds", "histogram", NULL,
    "From the beginning of a handler to its end, with all that it waited for."};
