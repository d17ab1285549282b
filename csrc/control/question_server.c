/* question_server.c - `summary`, `pool`, `script`, `config`: how the server fares as a whole. */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/process_metrics.h"
#include "control/ask.h"
#include "pg/pg_show.h"
#include "wire/json.h"

enum { TIMEOUT_MS = 1000 };

/* Writes {"worker":N,…} for each worker that has answered, with what it has appended to its json.
 */
static void write_workers(const leat_ask *ask, leat_buf *json)
{
    const char *comma = "";
    leat_buf_text(json, ",\"workers\":[");
    for (size_t i = 0; i < ask->look.n_parts; i++) {
        const leat_part *p = ask->look.parts[i];
        if (p == NULL || !p->answered)
            continue;
        leat_buf_printf(json, "%s{\"worker\":%zu,\"answered_ms\":%.3f", comma, i,
                        (double)p->took_us / 1000);
        if (p->json.len > 0)
            leat_buf_char(json, ',');
        leat_buf_slice(json, leat_buf_view(&p->json));
        leat_buf_char(json, '}');
        comma = ",";
    }
    leat_buf_char(json, ']');
}

/* --- summary --- */

static leat_work describe_worker(leat_part *part, leat_worker *w)
{
    const leat_core *core = leat_worker_core(w);
    leat_buf_printf(&part->json,
                    "\"state\":\"%s\",\"clients\":%zu,\"topics\":%zu,\"ring_bytes\":%zu"
                    ",\"handshakes\":%zu",
                    leat_worker_serves(w) ? "serving" : "draining", core->n_clients,
                    core->topics.count, core->ring_bytes, core->n_handshakes);
    return LEAT_WORK_DONE;
}

static const leat_question each_worker = {describe_worker, TIMEOUT_MS};

struct figure {
    const char *name;
    leat_metric first, last; /* their sum */
};

#define ONE(name, id)                                                                              \
    {                                                                                              \
        name, id, id                                                                               \
    }

/* Names end in _total where they only grow, and rates can be made of them. */
static const struct figure figures[] = {
    ONE("connections", LEAT_M_CONNECTIONS),
    {"subscriptions", LEAT_M_SUBS_NEW, LEAT_M_SUBS_LIVE},
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
    ONE("topics_unreadable", LEAT_M_TOPICS_UNREADABLE),
    ONE("schema_problems", LEAT_M_SCHEMA_PROBLEMS),
    ONE("trim_backlog_seconds", LEAT_M_TRIM_BACKLOG),
    ONE("events_total", LEAT_M_EVENTS),
    ONE("deliveries_total", LEAT_M_DELIVERIES),
    ONE("snapshots_total", LEAT_M_SNAPSHOT_READS),
    ONE("stale_snapshots_total", LEAT_M_STALE_SNAPSHOTS),
    ONE("gaps_repaired_total", LEAT_M_GAPS_REPAIRED),
    {"resyncs_total", LEAT_M_RESYNCS_STALE, LEAT_M_RESYNCS_TOO_LARGE},
    {"handshakes_total", LEAT_M_HANDSHAKES_OK, LEAT_M_HANDSHAKES_GONE},
    {"handshakes_good_total", LEAT_M_HANDSHAKES_OK, LEAT_M_HANDSHAKES_RESUMED},
    ONE("handshakes_refused_total", LEAT_M_HANDSHAKES_REFUSED),
    ONE("handshakes_late_total", LEAT_M_HANDSHAKES_DEADLINE),
    ONE("handshakes_unavailable_total", LEAT_M_HANDSHAKES_UNAVAILABLE),
    ONE("handshakes_internal_total", LEAT_M_HANDSHAKES_INTERNAL),
    {"handshakes_shed_total", LEAT_M_HANDSHAKES_SHED_ALL, LEAT_M_HANDSHAKES_SHED_TENANT},
    ONE("slow_clients_closed_total", LEAT_M_SLOW_CLOSED),
    ONE("script_errors_total", LEAT_M_SCRIPT_ERRORS),
    ONE("http_requests_total", LEAT_M_HTTP_REQUESTS),
    ONE("bad_requests_total", LEAT_M_BAD_REQUESTS),
    ONE("connections_refused_total", LEAT_M_CONNECTIONS_REFUSED),
    ONE("listener_reconnects_total", LEAT_M_LISTENER_RECONNECTS),
};

static void write_figures(leat_metrics_registry *registry, leat_buf *json)
{
    for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
        int64_t sum = 0;
        for (unsigned id = figures[i].first; id <= (unsigned)figures[i].last; id++)
            sum += leat_metrics_sum(registry, (leat_metric)id);
        leat_buf_printf(json, ",\"%s\":%" PRId64, figures[i].name, sum);
    }
}

static void write_problem(leat_hub *hub, leat_hub_part part, const char *name, const char **comma,
                          leat_buf *json)
{
    leat_buf reason = LEAT_BUF_INIT;
    leat_buf text = LEAT_BUF_INIT;
    if (!leat_hub_check(hub, part, &reason)) {
        leat_buf_printf(&text, "%s: %.*s", name, (int)reason.len, reason.at);
        leat_buf_text(json, *comma);
        leat_json_write_text(json, leat_buf_view(&text));
        *comma = ",";
    }
    leat_buf_close(&reason);
    leat_buf_close(&text);
}

static void write_problems(leat_hub *hub, leat_buf *json)
{
    const char *comma = "";
    leat_buf_text(json, ",\"problems\":[");
    write_problem(hub, LEAT_HUB_LISTENER, "listener", &comma, json);
    write_problem(hub, LEAT_HUB_HISTORY, "history", &comma, json);
    write_problem(hub, LEAT_HUB_OUTBOX, "outbox", &comma, json);
    leat_buf_char(json, ']');
}

static int write_summary(leat_ask *ask, leat_buf *json)
{
    leat_engine *engine = ask->inside->engine;
    leat_buf_printf(
        json,
        ",\"version\":\"%s\",\"pid\":%d,\"state\":\"%s\",\"uptime_s\":%" PRId64
        ",\"resident_bytes\":%zu,\"address\":",
        LEAT_VERSION, (int)getpid(), leat_engine_serves(engine) ? "serving" : "draining",
        (int64_t)(uv_hrtime() - ask->inside->began_ns) / 1000000000, leat_process_resident_bytes());
    leat_json_write_text(json, leat_slice_of(leat_engine_address(engine)));
    write_problems(leat_engine_hub(engine), json);
    write_figures(leat_engine_registry(engine), json);
    write_workers(ask, json);
    return 200;
}

const leat_ask_kind leat_ask_summary = {
    .method = "GET",
    .name = "summary",
    .question = &each_worker,
    .only = LEAT_LOOK_ALL,
    .write = write_summary,
};

/* --- pool --- */

static leat_work describe_pool(leat_part *part, leat_worker *w)
{
    leat_pg_pool_describe(leat_worker_core(w)->pool, &part->json);
    return LEAT_WORK_DONE;
}

static const leat_question each_pool = {describe_pool, TIMEOUT_MS};

static int write_pools(leat_ask *ask, leat_buf *json)
{
    write_workers(ask, json);
    return 200;
}

const leat_ask_kind leat_ask_pool = {
    .method = "GET",
    .name = "pool",
    .question = &each_pool,
    .only = LEAT_LOOK_ALL,
    .write = write_pools,
};

/* --- script --- */

static leat_work describe_scripts(leat_part *part, leat_worker *w)
{
    leat_worker_describe_scripts(w, &part->json);
    return LEAT_WORK_DONE;
}

static const leat_question each_script = {describe_scripts, TIMEOUT_MS};

static int write_scripts(leat_ask *ask, leat_buf *json)
{
    leat_buf_text(json, ",\"app\":");
    leat_json_write_text(json, leat_slice_of(ask->inside->config->app));
    write_workers(ask, json);
    return 200;
}

const leat_ask_kind leat_ask_script = {
    .method = "GET",
    .name = "script",
    .question = &each_script,
    .only = LEAT_LOOK_ALL,
    .write = write_scripts,
};

/* --- config --- */

static bool is_database(const leat_config_key *key)
{
    return strcmp(key->name, "database_url") == 0 || strcmp(key->name, "listen_url") == 0;
}

static bool write_value(const leat_config *config, const leat_config_key *key, leat_buf *json)
{
    const char *member = (const char *)config + key->offset;
    if (leat_config_key_is_number(key)) {
        uint64_t n = key->kind == LEAT_KEY_SIZE ? *(const size_t *)(const void *)member
                                                : *(const uint64_t *)(const void *)member;
        leat_buf_printf(json, "%" PRIu64, n);
        return n != key->number;
    }
    if (key->kind == LEAT_KEY_BOOL) {
        bool yes = *(const bool *)(const void *)member;
        leat_buf_text(json, yes ? "true" : "false");
        return yes != (key->number != 0);
    }
    const char *text = leat_config_text(config, key);
    leat_buf shown = LEAT_BUF_INIT;
    if (is_database(key))
        leat_pg_show_conninfo(&shown, text);
    else
        leat_buf_text(&shown, text);
    leat_json_write_text(json, leat_buf_view(&shown));
    leat_buf_close(&shown);
    return strcmp(text, key->text) != 0;
}

static int write_config(leat_ask *ask, leat_buf *json)
{
    const leat_config *config = ask->inside->config;
    size_t n = 0;
    const leat_config_key *keys = leat_config_keys(&n);
    leat_buf_text(json, ",\"file\":");
    if (config->file == NULL)
        leat_buf_text(json, "null");
    else
        leat_json_write_text(json, leat_slice_of(config->file));
    leat_buf_text(json, ",\"keys\":[");
    for (size_t i = 0; i < n; i++) {
        leat_buf_printf(json, "%s{\"key\":\"%s\",\"value\":", i > 0 ? "," : "", keys[i].name);
        bool changed = write_value(config, &keys[i], json);
        leat_buf_printf(json, ",\"default\":%s}", changed ? "false" : "true");
    }
    leat_buf_char(json, ']');
    return 200;
}

const leat_ask_kind leat_ask_config = {
    .method = "GET",
    .name = "config",
    .only = LEAT_LOOK_ALL,
    .write = write_config,
};
