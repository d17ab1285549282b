#include "base/metrics.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/metrics_text.h"

static char *render(leat_metrics_registry *r)
{
    leat_buf out = LEAT_BUF_INIT;
    leat_metrics_render(r, &out);
    return leat_buf_detach(&out, NULL);
}

static int count(const char *text, const char *part)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part))
        n++;
    return n;
}

static void assert_has_line(const char *text, const char *line)
{
    char with_ends[256];
    snprintf(with_ends, sizeof(with_ends), "\n%s\n", line);
    if (count(text, with_ends) != 1)
        fail_msg("not there once: %s", line);
}

static void sums_over_threads(void **state)
{
    (void)state;
    leat_metrics_registry *r = leat_metrics_registry_new();
    leat_metrics *a = leat_metrics_new(r);
    leat_metrics *b = leat_metrics_new(r);

    leat_metrics_add(a, LEAT_M_TOPICS, 5);
    leat_metrics_add(a, LEAT_M_TOPICS, -2);
    leat_metrics_set(b, LEAT_M_TOPICS, 4);

    assert_int_equal(leat_metrics_get(a, LEAT_M_TOPICS), 3);
    assert_int_equal(leat_metrics_get(b, LEAT_M_TOPICS), 4);
    assert_int_equal(leat_metrics_sum(r, LEAT_M_TOPICS), 7);
    char *text = render(r);
    assert_has_line(text, "leat_topics 7");
    free(text);
    leat_metrics_registry_free(r);
}

/* Ages do not add up. */
static void shows_the_largest_age_of_all_threads(void **state)
{
    (void)state;
    leat_metrics_registry *r = leat_metrics_registry_new();
    leat_metrics_set(leat_metrics_new(r), LEAT_M_JWKS_AGE, 7);
    leat_metrics_set(leat_metrics_new(r), LEAT_M_JWKS_AGE, 5);

    char *text = render(r);

    assert_has_line(text, "leat_jwks_age_seconds 7");
    free(text);
    leat_metrics_registry_free(r);
}

static void renders_every_series_even_at_zero(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "leat_connections 0",
        "leat_max_connections 0",
        "leat_clients{protocol=\"leat.v1\"} 0",
        "leat_clients{protocol=\"centrifuge-json\"} 0",
        "leat_clients{protocol=\"centrifuge-protobuf\"} 0",
        "leat_subscriptions{state=\"new\"} 0",
        "leat_subscriptions{state=\"authorizing\"} 0",
        "leat_subscriptions{state=\"arming\"} 0",
        "leat_subscriptions{state=\"reading\"} 0",
        "leat_subscriptions{state=\"replaying\"} 0",
        "leat_subscriptions{state=\"live\"} 0",
        "leat_topics 0",
        "leat_pg_pool_connections{state=\"idle\"} 0",
        "leat_pg_pool_connections{state=\"busy\"} 0",
        "leat_pg_pool_connections{state=\"connecting\"} 0",
        "leat_pg_pool_waiters 0",
        "leat_pg_pool_held_back_total{reason=\"client\"} 0",
        "leat_pg_pool_held_back_total{reason=\"user\"} 0",
        "leat_pg_pool_held_back_total{reason=\"reserve\"} 0",
        "leat_pg_pool_held_back_total{reason=\"crowd\"} 0",
        "leat_pg_pool_refused_total 0",
        "leat_pg_cancels_total 0",
        "leat_listener_connected 0",
        "leat_listener_reconnects_total 0",
        "leat_listener_confirmed_timestamp_seconds 0",
        "leat_handshakes_total{outcome=\"ok\"} 0",
        "leat_handshakes_total{outcome=\"resumed\"} 0",
        "leat_handshakes_total{outcome=\"refused\"} 0",
        "leat_handshakes_total{outcome=\"deadline_exceeded\"} 0",
        "leat_handshakes_total{outcome=\"unavailable\"} 0",
        "leat_handshakes_total{outcome=\"internal\"} 0",
        "leat_handshakes_total{outcome=\"gone\"} 0",
        "leat_snapshot_reads_total 0",
        "leat_stale_snapshots_total 0",
        "leat_events_total 0",
        "leat_deliveries_total 0",
        "leat_early_events_total 0",
        "leat_mail_bytes 0",
        "leat_console_requests_total 0",
        "leat_console_refused_total 0",
        "leat_console_limited_total 0",
        "leat_console_streams 0",
        "leat_errors_total{code=\"bad_request\"} 0",
        "leat_errors_total{code=\"unauthenticated\"} 0",
        "leat_errors_total{code=\"forbidden\"} 0",
        "leat_errors_total{code=\"not_found\"} 0",
        "leat_errors_total{code=\"already_subscribed\"} 0",
        "leat_errors_total{code=\"limit\"} 0",
        "leat_errors_total{code=\"rate_limited\"} 0",
        "leat_errors_total{code=\"deadline_exceeded\"} 0",
        "leat_errors_total{code=\"unavailable\"} 0",
        "leat_errors_total{code=\"too_large\"} 0",
        "leat_errors_total{code=\"internal\"} 0",
        "leat_errors_total{code=\"revoked\"} 0",
        "leat_gaps_repaired_total 0",
        "leat_resyncs_total{reason=\"stale\"} 0",
        "leat_resyncs_total{reason=\"history\"} 0",
        "leat_resyncs_total{reason=\"hook\"} 0",
        "leat_resyncs_total{reason=\"epoch\"} 0",
        "leat_resyncs_total{reason=\"requested\"} 0",
        "leat_resyncs_total{reason=\"too_large\"} 0",
        "leat_reauthorizations_total 0",
        "leat_turn_waiters 0",
        "leat_workers_left_behind_total 0",
        "leat_slow_clients_closed_total 0",
        "leat_ring_bytes 0",
        "leat_send_buffer_bytes 0",
        "leat_script_errors_total 0",
        "leat_script_budget_exceeded_total 0",
        "leat_script_memory_bytes 0",
        "leat_jwt_verifications_total{result=\"ok\"} 0",
        "leat_jwt_verifications_total{result=\"malformed\"} 0",
        "leat_jwt_verifications_total{result=\"too_large\"} 0",
        "leat_jwt_verifications_total{result=\"algorithm\"} 0",
        "leat_jwt_verifications_total{result=\"critical\"} 0",
        "leat_jwt_verifications_total{result=\"type\"} 0",
        "leat_jwt_verifications_total{result=\"key\"} 0",
        "leat_jwt_verifications_total{result=\"signature\"} 0",
        "leat_jwt_verifications_total{result=\"expired\"} 0",
        "leat_jwt_verifications_total{result=\"not_yet_valid\"} 0",
        "leat_jwt_verifications_total{result=\"issuer\"} 0",
        "leat_jwt_verifications_total{result=\"audience\"} 0",
        "leat_jwt_verifications_total{result=\"subject\"} 0",
        "leat_jwt_verifications_total{result=\"claim\"} 0",
        "leat_jwt_verifications_total{result=\"unavailable\"} 0",
        "leat_jwks_fetches_total{outcome=\"ok\"} 0",
        "leat_jwks_fetches_total{outcome=\"failed\"} 0",
        "leat_jwks_age_seconds 0",
        "leat_http_requests_total 0",
        "leat_addresses_refused_total{limit=\"connections\"} 0",
        "leat_addresses_refused_total{limit=\"rate\"} 0",
        "leat_origins_refused_total 0",
        "leat_http_shed_total 0",
        "leat_guest_bytes 0",
        "leat_request_bytes 0",
        "leat_http_rejected_total 0",
        "leat_protocol_errors_total 0",
        "leat_bad_requests_total 0",
        "leat_connections_refused_total 0",
        "leat_trimmed_events_total 0",
        "leat_trim_backlog_seconds 0",
        "leat_outbox_topics 0",
        "leat_signals_dropped_total 0",
        "leat_signals_conflated_total 0",
        "leat_kept_signal_bytes 0",
        "leat_control_requests_total 0",
        "leat_control_connections_refused_total 0",
        "leat_history_requests_total{outcome=\"ok\"} 0",
        "leat_history_requests_total{outcome=\"cut\"} 0",
        "leat_history_requests_total{outcome=\"lost\"} 0",
        "leat_history_requests_total{outcome=\"refused\"} 0",
        "leat_history_requests_total{outcome=\"failed\"} 0",
        "leat_reloads_total{outcome=\"ok\"} 0",
        "leat_reloads_total{outcome=\"failed\"} 0",
        "leat_reload_failed 0",
        "leat_log_lines_dropped_total{reason=\"rate\"} 0",
        "leat_log_lines_dropped_total{reason=\"full\"} 0",
        "leat_log_lines_dropped_total{reason=\"failed\"} 0",
        "leat_tls_handshakes_total{kind=\"full\"} 0",
        "leat_tls_handshakes_total{kind=\"resumed\"} 0",
        "leat_tls_handshakes_under_way 0",
        "leat_tls_handshake_failures_total{reason=\"timeout\"} 0",
        "leat_tls_handshake_failures_total{reason=\"crowded\"} 0",
        "leat_tls_handshake_failures_total{reason=\"gone\"} 0",
        "leat_tls_handshake_failures_total{reason=\"plain_http\"} 0",
        "leat_tls_handshake_failures_total{reason=\"version\"} 0",
        "leat_tls_handshake_failures_total{reason=\"cipher\"} 0",
        "leat_tls_handshake_failures_total{reason=\"alpn\"} 0",
        "leat_tls_handshake_failures_total{reason=\"client_certificate\"} 0",
        "leat_tls_handshake_failures_total{reason=\"alert\"} 0",
        "leat_tls_handshake_failures_total{reason=\"other\"} 0",
        "leat_tls_connections{encryption=\"process\"} 0",
        "leat_tls_connections{encryption=\"kernel\"} 0",
        "leat_tls_reloads_total{outcome=\"ok\"} 0",
        "leat_tls_reloads_total{outcome=\"failed\"} 0",
        "leat_tls_certificate_expiry_seconds 0",
        "leat_messages_too_large_total 0",
        "leat_announcements_refused_total 0",
        "leat_fetch_failures_total{reason=\"hidden\"} 0",
        "leat_fetch_failures_total{reason=\"missing\"} 0",
        "leat_fetch_failures_total{reason=\"unconfirmed\"} 0",
        "leat_fetch_failures_total{reason=\"denied\"} 0",
        "leat_handshakes_under_way 0",
        "leat_handshakes_shed_total{limit=\"all\"} 0",
        "leat_handshakes_shed_total{limit=\"wait\"} 0",
        "leat_handshakes_shed_total{limit=\"user\"} 0",
        "leat_handshakes_shed_total{limit=\"tenant\"} 0",
        "leat_subscriptions_refused_total{limit=\"client\"} 0",
        "leat_subscriptions_refused_total{limit=\"user\"} 0",
        "leat_subscriptions_refused_total{limit=\"tenant\"} 0",
        "leat_hosts_refused_total 0",
        "leat_proxy_headers_refused_total 0",
        "leat_unauthenticated 0",
        "leat_authentications_total{outcome=\"ok\"} 0",
        "leat_authentications_total{outcome=\"refused\"} 0",
        "leat_authentications_total{outcome=\"late\"} 0",
        "leat_authentications_total{outcome=\"full\"} 0",
        "leat_rate_limited_total{limit=\"messages\"} 0",
        "leat_rate_limited_total{limit=\"bytes\"} 0",
        "leat_rate_limited_total{limit=\"controls\"} 0",
        "leat_rate_limited_total{limit=\"publishes\"} 0",
        "leat_rate_limited_total{limit=\"requests\"} 0",
        "leat_rate_limited_total{limit=\"subscribes\"} 0",
        "leat_flooding_clients_closed_total 0",
        "leat_received_bytes 0",
        "leat_large_clients_closed_total 0",
        "leat_idle_clients_closed_total{limit=\"first_message\"} 0",
        "leat_idle_clients_closed_total{limit=\"idle\"} 0",
        "leat_ring_evicted_events_total 0",
        "leat_host_requests 0",
        "leat_host_requests_refused_total 0",
        "leat_gzip_cache_bytes 0",
        "leat_gzip_no_room_total 0",
        "leat_confined{by=\"landlock\"} 0",
        "leat_confined{by=\"seccomp\"} 0",
        "leat_system_calls_refused_total 0",
        "leat_fetch_failures_total{reason=\"deadline\"} 0",
        "leat_fetch_failures_total{reason=\"unavailable\"} 0",
        "leat_fetch_failures_total{reason=\"other\"} 0",
        "leat_topics_unreadable 0",
        "leat_schema_problems 0",
        "leat_schema_too_new 0",
    };
    leat_metrics_registry *r = leat_metrics_registry_new();
    leat_metrics_new(r);

    char *text = render(r);

    assert_int_equal(sizeof(lines) / sizeof(lines[0]), LEAT_M_COUNT);
    for (size_t i = 0; i < LEAT_M_COUNT; i++)
        assert_has_line(text, lines[i]);
    free(text);
    leat_metrics_registry_free(r);
}

static void explains_each_metric_once(void **state)
{
    (void)state;
    leat_metrics_registry *r = leat_metrics_registry_new();

    char *text = render(r);

    assert_int_equal(count(text, "# HELP leat_subscriptions "), 1);
    assert_int_equal(count(text, "# TYPE leat_subscriptions gauge\n"), 1);
    assert_int_equal(count(text, "# TYPE leat_handshakes_total counter\n"), 1);
    assert_int_equal(count(text, "# TYPE leat_query_seconds histogram\n"), 1);
    assert_int_equal(count(text, "# HELP "), count(text, "# TYPE "));
    assert_int_equal(strncmp(text, "# HELP leat_connections ", 24), 0);
    assert_int_equal(text[strlen(text) - 1], '\n');
    free(text);
    leat_metrics_registry_free(r);
}

static void counts_observations_into_cumulative_buckets(void **state)
{
    (void)state;
    leat_metrics_registry *r = leat_metrics_registry_new();
    leat_metrics *a = leat_metrics_new(r);
    leat_metrics *b = leat_metrics_new(r);

    leat_metrics_observe(a, LEAT_H_QUERY, 0.0001);
    leat_metrics_observe(a, LEAT_H_QUERY, 0.002);
    leat_metrics_observe(b, LEAT_H_QUERY, 0.002);
    leat_metrics_observe(b, LEAT_H_QUERY, 11);

    char *text = render(r);
    assert_has_line(text, "leat_query_seconds_bucket{le=\"0.0001\"} 1");
    assert_has_line(text, "leat_query_seconds_bucket{le=\"0.001\"} 1");
    assert_has_line(text, "leat_query_seconds_bucket{le=\"0.0025\"} 3");
    assert_has_line(text, "leat_query_seconds_bucket{le=\"10\"} 3");
    assert_has_line(text, "leat_query_seconds_bucket{le=\"+Inf\"} 4");
    assert_has_line(text, "leat_query_seconds_sum 11.004100000");
    assert_int_equal(count(text, "leat_query_seconds_count 4\n"), 1);
    assert_has_line(text, "leat_handshake_seconds_count 0");
    free(text);
    leat_metrics_registry_free(r);
}

static void renders_the_histograms_of_one_metric_under_one_head(void **state)
{
    (void)state;
    leat_metrics_registry *r = leat_metrics_registry_new();
    leat_metrics_observe(leat_metrics_new(r), LEAT_H_STAGE_READ, 0.002);

    char *text = render(r);

    assert_int_equal(count(text, "# TYPE leat_handshake_stage_seconds histogram\n"), 1);
    assert_has_line(text, "leat_handshake_stage_seconds_bucket{stage=\"read\",le=\"0.0025\"} 1");
    assert_has_line(text, "leat_handshake_stage_seconds_sum{stage=\"read\"} 0.002000000");
    assert_has_line(text, "leat_handshake_stage_seconds_count{stage=\"read\"} 1");
    assert_has_line(text, "leat_handshake_stage_seconds_count{stage=\"arm\"} 0");
    free(text);
    leat_metrics_registry_free(r);
}

static void assert_quantile(double expected, const leat_metrics_counts *counts, double q)
{
    double found = leat_metrics_quantile(counts, q);
    if (fabs(found - expected) > 1e-9)
        fail_msg("quantile %g: expected %g, found %g", q, expected, found);
}

static void estimates_quantiles(void **state)
{
    (void)state;
    leat_metrics_counts counts = {.sum_ns = 0};
    assert_true(leat_metrics_quantile(&counts, 0.5) < 0);

    counts.ranges[3] = 10; /* 0.0005 to 0.001 */
    assert_quantile(0.00075, &counts, 0.5);
    assert_quantile(0.001, &counts, 1);
    counts.ranges[5] = 10; /* 0.0025 to 0.005 */
    assert_quantile(0.001, &counts, 0.5);
    assert_quantile(0.00375, &counts, 0.75);
    counts.ranges[LEAT_METRICS_BOUNDS] = 1000;
    assert_quantile(10, &counts, 0.99);
}

static void takes_impossible_durations_for_zero(void **state)
{
    (void)state;
    leat_metrics_registry *r = leat_metrics_registry_new();
    leat_metrics *m = leat_metrics_new(r);

    leat_metrics_observe(m, LEAT_H_HANDSHAKE, -1);
    leat_metrics_observe(m, LEAT_H_HANDSHAKE, NAN);

    char *text = render(r);
    assert_has_line(text, "leat_handshake_seconds_bucket{le=\"0.0001\"} 2");
    assert_has_line(text, "leat_handshake_seconds_sum 0.000000000");
    free(text);
    leat_metrics_registry_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_over_threads),
        cmocka_unit_test(shows_the_largest_age_of_all_threads),
        cmocka_unit_test(renders_every_series_even_at_zero),
        cmocka_unit_test(explains_each_metric_once),
        cmocka_unit_test(counts_observations_into_cumulative_buckets),
        cmocka_unit_test(renders_the_histograms_of_one_metric_under_one_head),
        cmocka_unit_test(estimates_quantiles),
        cmocka_unit_test(takes_impossible_durations_for_zero),
    };
    return cmocka_run_group_tests_name("base/metrics", tests, NULL, NULL);
}
