/* question_server.c - `summary`, `ready`, `pool`, `script`, `config`: how the server fares as a
 * whole. */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/process_metrics.h"
#include "control/ask.h"
#include "control/figures.h"
#include "http/http_health.h"
#include "pg/pg_show.h"
#include "wire/json.h"

enum { TIMEOUT_MS = 1000, MAX_STATEMENTS = 100 };

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
                    "\"state\":\"%s\",\"clients\":%zu,\"topics\":%" PRIu32 ",\"ring_bytes\":%zu"
                    ",\"handshakes\":%zu,\"mail_bytes\":%zu",
                    leat_worker_serves(w) ? "serving" : "draining", core->n_clients,
                    core->topics.count, core->ring_bytes, core->n_handshakes,
                    leat_hub_link_mail_bytes(core->link));
    if (leat_worker_is_up(w)) {
        (void)leat_http_health_check(leat_worker_http(w), &part->problems);
        leat_http_health_tell_reload(leat_worker_http(w), &part->problems);
    }
    return LEAT_WORK_DONE;
}

static const leat_question each_worker = {describe_worker, TIMEOUT_MS};

/* Returns the line that begins at that place, without its end. */
static leat_slice line_at(const leat_buf *lines, size_t at)
{
    const char *from = lines->at + at;
    return (leat_slice){from, (size_t)((const char *)memchr(from, '\n', lines->len - at) - from)};
}

static bool has_line(const leat_buf *lines, leat_slice wanted)
{
    for (size_t at = 0; at < lines->len;) {
        leat_slice line = line_at(lines, at);
        if (line.len == wanted.len && memcmp(line.at, wanted.at, line.len) == 0)
            return true;
        at += line.len + 1;
    }
    return false;
}

static void add_new_lines(leat_buf *lines, const leat_buf *more)
{
    for (size_t at = 0; at < more->len;) {
        leat_slice line = line_at(more, at);
        if (!has_line(lines, line)) {
            leat_buf_slice(lines, line);
            leat_buf_char(lines, '\n');
        }
        at += line.len + 1;
    }
}

/* Appends the problems that the workers have told of, each line once. */
static void gather_problems(const leat_ask *ask, leat_buf *lines)
{
    for (size_t i = 0; i < ask->look.n_parts; i++)
        if (ask->look.parts[i] != NULL && ask->look.parts[i]->answered)
            add_new_lines(lines, &ask->look.parts[i]->problems);
}

/* Writes the lines as an array of texts. */
static void write_problems(const leat_buf *lines, leat_buf *json)
{
    leat_buf_text(json, ",\"problems\":[");
    for (size_t at = 0; at < lines->len;) {
        leat_slice line = line_at(lines, at);
        leat_buf_text(json, at > 0 ? "," : "");
        leat_json_write_text(json, line);
        at += line.len + 1;
    }
    leat_buf_char(json, ']');
}

/* They keep no server from serving, so no line of /readyz is about them. */
static void tell_schema_problems(leat_metrics_registry *registry, leat_buf *lines)
{
    int64_t n = leat_metrics_sum(registry, LEAT_M_SCHEMA_PROBLEMS);
    if (n > 0)
        leat_buf_printf(lines,
                        "schema: %" PRId64 " wrong: leat show watches, or the console's view "
                        "Postgres, says what, and what to do\n",
                        n);
}

static void write_all_problems(const leat_ask *ask, leat_buf *json)
{
    leat_buf lines = LEAT_BUF_INIT;
    gather_problems(ask, &lines);
    tell_schema_problems(leat_engine_registry(ask->inside->engine), &lines);
    write_problems(&lines, json);
    leat_buf_close(&lines);
}

static void write_errors(leat_metrics_registry *registry, leat_buf *json)
{
    leat_buf_text(json, ",\"errors\":{");
    for (int code = LEAT_CODE_BAD_REQUEST; code < LEAT_CODE_COUNT; code++)
        leat_buf_printf(json, "%s\"%s\":%" PRId64, code > (int)LEAT_CODE_BAD_REQUEST ? "," : "",
                        leat_code_name((leat_code)code),
                        leat_metrics_sum(registry, leat_metrics_of_error((leat_code)code)));
    leat_buf_char(json, '}');
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
    write_all_problems(ask, json);
    leat_figures_write(leat_engine_registry(engine), json);
    write_errors(leat_engine_registry(engine), json);
    leat_recent_write(ask->inside->recent, json);
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

/* --- ready --- */

static leat_work describe_readiness(leat_part *part, leat_worker *w)
{
    if (!leat_worker_is_up(w))
        leat_buf_text(&part->problems, "server: stops\n");
    else
        (void)leat_http_health_check(leat_worker_http(w), &part->problems);
    return LEAT_WORK_DONE;
}

static const leat_question each_readiness = {describe_readiness, TIMEOUT_MS};

/* A worker that does not answer serves nobody. */
static bool all_ready(const leat_ask *ask)
{
    for (size_t i = 0; i < ask->look.n_parts; i++)
        if (ask->look.parts[i] == NULL || !ask->look.parts[i]->answered ||
            ask->look.parts[i]->problems.len > 0)
            return false;
    return true;
}

/* Writes all problems as one line, for people. */
static void write_message(leat_buf *lines, leat_buf *json)
{
    leat_buf message = LEAT_BUF_INIT;
    if (lines->len == 0)
        leat_buf_text(lines, "a worker does not answer\n");
    leat_buf_text(&message, "not ready");
    for (size_t at = 0; at < lines->len;) {
        leat_slice line = line_at(lines, at);
        leat_buf_text(&message, at == 0 ? ": " : "; ");
        leat_buf_slice(&message, line);
        at += line.len + 1;
    }
    leat_buf_text(json, ",\"message\":");
    leat_json_write_text(json, leat_buf_view(&message));
    leat_buf_close(&message);
}

static int write_readiness(leat_ask *ask, leat_buf *json)
{
    bool ready = all_ready(ask);
    leat_buf lines = LEAT_BUF_INIT;
    gather_problems(ask, &lines);
    leat_buf_printf(json, ",\"ready\":%s", ready ? "true" : "false");
    write_problems(&lines, json);
    if (!ready)
        write_message(&lines, json);
    leat_buf_close(&lines);
    return ready ? 200 : 503;
}

const leat_ask_kind leat_ask_ready = {
    .method = "GET",
    .name = "ready",
    .question = &each_readiness,
    .only = LEAT_LOOK_ALL,
    .write = write_readiness,
};

/* --- pool --- */

static leat_work describe_pool(leat_part *part, leat_worker *w)
{
    leat_pg_pool_describe(leat_worker_core(w)->pool, &part->json);
    return LEAT_WORK_DONE;
}

static const leat_question each_pool = {describe_pool, TIMEOUT_MS};

static int write_each(leat_ask *ask, leat_buf *json)
{
    write_workers(ask, json);
    return 200;
}

const leat_ask_kind leat_ask_pool = {
    .method = "GET",
    .name = "pool",
    .question = &each_pool,
    .only = LEAT_LOOK_ALL,
    .write = write_each,
};

/* --- statements --- */

static void write_statement(const leat_tally_entry *e, leat_buf *json)
{
    leat_buf_text(json, "{\"statement\":");
    leat_json_write_text(json, leat_slice_of(e->text));
    leat_buf_printf(json,
                    ",\"count\":%" PRIu64 ",\"errors\":%" PRIu64
                    ",\"total_ms\":%.3f,\"longest_ms\":%.3f}",
                    e->count, e->errors, (double)e->total_ns / 1e6, (double)e->longest_ns / 1e6);
}

/* The statements that took most of the database's time since the start. */
static leat_work describe_statements(leat_part *part, leat_worker *w)
{
    const leat_tally_entry *first[MAX_STATEMENTS];
    size_t limit = part->asked.limit < MAX_STATEMENTS ? part->asked.limit : MAX_STATEMENTS;
    size_t n = leat_tally_first(leat_worker_statements(w), first, limit);
    leat_buf_text(&part->json, "\"statements\":[");
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            leat_buf_char(&part->json, ',');
        write_statement(first[i], &part->json);
    }
    leat_buf_char(&part->json, ']');
    return LEAT_WORK_DONE;
}

static const leat_question each_statements = {describe_statements, TIMEOUT_MS};

const leat_ask_kind leat_ask_statements = {
    .method = "GET",
    .name = "statements",
    .question = &each_statements,
    .only = LEAT_LOOK_ALL,
    .write = write_each,
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

static bool write_value(const leat_config *config, const leat_config_key *key, leat_buf *json)
{
    const char *member = (const char *)config + key->offset;
    if (leat_config_key_is_number(key)) {
        leat_buf_printf(json, "%" PRIu64, leat_config_number(config, key));
        return !leat_config_is_default(config, key);
    }
    if (key->kind == LEAT_KEY_BOOL) {
        bool yes = *(const bool *)(const void *)member;
        leat_buf_text(json, yes ? "true" : "false");
        return yes != (key->number != 0);
    }
    const char *text = leat_config_text(config, key);
    leat_buf shown = LEAT_BUF_INIT;
    if (key->kind == LEAT_KEY_SECRET)
        leat_buf_text(&shown, text[0] == '\0' ? "" : "(not shown)");
    else if (key->kind == LEAT_KEY_DATABASE)
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
