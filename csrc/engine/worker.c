/* A worker's life: leat_worker_start starts the thread, whose function `run` sets everything up,
 * from the loop to the listener, and then runs the loop. LEAT_WORKER_STOP calls `drain`: the
 * listener closes, clients get their close messages, requests under way are answered. When all of
 * that is over (check_drained), the worker is taken down in reverse order: close_http, stop_core,
 * retire_scripts, close_keys, close_pool, close_mailbox, close_loop. Each of these starts the next
 * one when it is done. A set-up that fails takes the same way and leaves out what was never made.
 */
#include "engine/worker.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "base/thread.h"
#include "core/core_life.h"
#include "http/http_server.h"
#include "net/listener.h"
#include "script/route/raw.h"
#include "script/script.h"
#include "wire/frame.h"
#include "wire/json.h"

/* How often raw connections are counted while they close: no callback tells when the last one is
 * gone. */
#define RAW_CHECK_MS 20

/* Loaded scripts: the current ones, and older ones until nothing uses them any more. */
struct loaded {
    leat_list link;
    leat_worker *worker;
    leat_lua *lua;
};

struct command {
    leat_worker_job job;
    leat_worker_command command;
};

/* In the order of a worker's life. A set-up that fails goes from SERVING to GOING_DOWN. */
enum worker_state {
    SERVING,    /* or setting up */
    DRAINING,   /* clients get their close messages */
    DRAINED,    /* all clients of the core are gone; other requests are still answered */
    GOING_DOWN, /* HTTP connections are closed, then the core */
    RETIRING,   /* nothing but scripts is left, until their last user is gone */
};

struct leat_worker {
    leat_mail over; /* posted to home at the end */
    leat_worker_options options;
    leat_limits limits; /* a copy: a reload changes it on this thread */
    bool reuse_port;
    char address[64];
    char tls_address[64];
    char metrics_address[64];
    uv_thread_t thread;
    uv_sem_t started;
    int start_err;
    leat_buf start_error;

    uv_loop_t uv;
    leat_loop *loop;
    leat_metrics *metrics;
    leat_mailbox *mailbox;
    char name[32]; /* of its connections */
    leat_pg_pool_options pool_options;
    leat_pg_pool *pool;
    leat_core core;
    leat_gate gate;
    bool core_started;
    leat_list scripts; /* of loaded; the last is current */
    leat_lua *lua;     /* the current ones */
    time_t loaded_at;  /* when they were */
    size_t n_loads;
    time_t refused_at; /* when the last reload failed (http.reload_failure); 0: it did not */
    leat_http_options http_options;
    leat_http_side http;
    leat_tls_side *tls;              /* NULL: none */
    leat_listener *listener;         /* NULL: none */
    leat_listener *tls_listener;     /* NULL: none */
    leat_listener *metrics_listener; /* NULL: none */
    leat_deadline raw_check;
    enum worker_state state;
    atomic_uint beats;
};

static void run(void *arg);
static int set_up(leat_worker *w);
static void on_mail(void *arg, leat_mail *mail);
static void run_command(leat_worker_job *job, leat_worker *w);
static void on_accept(void *arg, uv_os_sock_t socket, const struct sockaddr_storage *peer);
static void on_accept_tls(void *arg, uv_os_sock_t socket, const struct sockaddr_storage *peer);
static void on_accept_metrics(void *arg, uv_os_sock_t socket, const struct sockaddr_storage *peer);
static void drain(leat_worker *w);
static void check_drained(void *arg);
static void close_http(leat_worker *w);
static void stop_core(leat_worker *w);
static void retire_scripts(void *arg);
static void close_keys(leat_worker *w);
static void close_pool(void *arg);
static void close_mailbox(void *arg);
static void close_loop(void *arg);

leat_worker *leat_worker_new(const leat_worker_options *options)
{
    leat_worker *w = leat_calloc(1, sizeof(*w));
    w->options = *options;
    w->limits = options->config->limits;
    snprintf(w->name, sizeof(w->name), "leat worker %zu", options->index);
    w->pool_options = *options->pool;
    w->pool_options.pg.application_name = w->name;
    w->metrics = leat_metrics_new(options->registry);
    leat_list_init(&w->scripts);
    leat_deadline_init(&w->raw_check);
    return w;
}

int leat_worker_start(leat_worker *w, bool reuse_port, leat_buf *error)
{
    w->reuse_port = reuse_port;
    int err = uv_sem_init(&w->started, 0);
    if (err < 0)
        return err;
    err = uv_thread_create(&w->thread, run, w);
    if (err == 0) {
        uv_sem_wait(&w->started);
        err = w->start_err;
        if (err < 0)
            leat_worker_join(w);
    }
    uv_sem_destroy(&w->started);
    leat_buf_slice(error, leat_buf_view(&w->start_error));
    return err;
}

const char *leat_worker_address(const leat_worker *w)
{
    return w->address;
}

const char *leat_worker_tls_address(const leat_worker *w)
{
    return w->tls_address;
}

const char *leat_worker_metrics_address(const leat_worker *w)
{
    return w->metrics_address;
}

void leat_worker_join(leat_worker *w)
{
    uv_thread_join(&w->thread);
}

void leat_worker_free(leat_worker *w)
{
    leat_mailbox_free(w->mailbox);
    leat_tls_side_free(w->tls);
    leat_deflate_free(w->core.deflate);
    leat_http_gzip_free(w->http.gzip);
    leat_buf_close(&w->http.reload_failure);
    leat_buf_close(&w->start_error);
    free(w);
}

void leat_worker_post(leat_worker *w, leat_worker_command command)
{
    struct command *c = leat_calloc(1, sizeof(*c));
    c->job.run = run_command;
    c->command = command;
    if (!leat_worker_do(w, &c->job))
        free(c); /* the worker is going down already */
}

bool leat_worker_do(leat_worker *w, leat_worker_job *job)
{
    return leat_mailbox_post(w->mailbox, &job->mail_);
}

size_t leat_worker_index(const leat_worker *w)
{
    return w->options.index;
}

bool leat_worker_serves(const leat_worker *w)
{
    return w->state == SERVING;
}

bool leat_worker_is_up(const leat_worker *w)
{
    return w->state < GOING_DOWN;
}

leat_core *leat_worker_core(leat_worker *w)
{
    return &w->core;
}

leat_http_side *leat_worker_http(leat_worker *w)
{
    return &w->http;
}

unsigned leat_worker_beats(const leat_worker *w)
{
    return atomic_load_explicit(&w->beats, memory_order_relaxed);
}

static const char *error_text(int err)
{
    const char *name = leat_err_name(err);
    return name != NULL ? name : uv_strerror(err);
}

static void run_loop(leat_worker *w)
{
    uv_run(&w->uv, UV_RUN_DEFAULT);
    LEAT_ASSERT(uv_loop_close(&w->uv) == 0);
}

static void run(void *arg)
{
    leat_worker *w = arg;
    char name[24];
    snprintf(name, sizeof(name), "leat-w%u", (unsigned)w->options.index);
    leat_thread_name(name);
    leat_log_bind(w->options.log);
    int err = uv_loop_init(&w->uv);
    if (err == 0) {
        err = set_up(w);
        if (err < 0) {
            close_http(w);
            run_loop(w);
        }
    }
    if (err < 0 && w->start_error.len == 0)
        leat_buf_printf(&w->start_error, "a worker cannot start: %s", error_text(err));
    w->start_err = err;
    uv_sem_post(&w->started);
    if (err < 0)
        return;
    run_loop(w);
    leat_log_bind(NULL);
    LEAT_ASSERT(leat_mailbox_post(w->options.home, &w->over)); /* the server waits for it */
}

/* --- set-up --- */

static int load_scripts(leat_worker *w, leat_buf *error)
{
    const leat_config *config = w->options.config;
    leat_lua_options options = {
        .app_path = config->app,
        .app_source = config->app_source,
        .lua_dir = config->lua_dir,
        .require_folders = config->require_folders,
        .budget_ms = config->script_budget_ms,
        .memory_bytes = config->script_memory_bytes,
        .core = &w->core,
    };
    leat_lua *lua = NULL;
    int err = leat_lua_new(&lua, &options, error);
    if (err < 0)
        return err;
    struct loaded *l = leat_calloc(1, sizeof(*l));
    l->worker = w;
    l->lua = lua;
    leat_list_push(&w->scripts, &l->link);
    w->lua = lua;
    w->loaded_at = time(NULL);
    w->n_loads++;
    return 0;
}

static void fill_core(leat_worker *w)
{
    w->core.loop = w->loop;
    w->core.metrics = w->metrics;
    w->core.pool = w->pool;
    w->core.hub = leat_hub_mailbox(w->options.hub);
    w->core.limits = &w->limits;
    w->gate.fd = w->options.config->gates;
    w->core.gate = w->gate.fd == LEAT_GATE_NONE ? NULL : &w->gate;
    w->core.max_client_bytes = w->options.config->max_client_bytes / w->options.config->workers;
    w->core.max_ring_bytes = w->options.config->max_ring_bytes / w->options.config->workers;
    w->core.keys = leat_key_store_new(w->loop, w->metrics, w->core.limits);
    if (w->options.config->compression_level > 0)
        w->core.deflate = leat_deflate_new((int)w->options.config->compression_level,
                                           w->options.config->compression_min_bytes);
}

/* True if no other machine can connect to that address; or if there is none. TLS needs no such
 * look: a page whose name points elsewhere has no certificate for it. */
static bool is_local(const struct sockaddr_storage *addr)
{
    leat_ip ip;
    return addr == NULL || (leat_ip_of(&ip, addr) && leat_ip_is_loopback(&ip));
}

/* The sockets that an embedding program hands over come from anywhere. */
static bool is_local_door(const leat_worker *w)
{
    return w->options.addr == NULL ? !w->options.config->embedded : is_local(w->options.addr);
}

static leat_http_options http_options(const leat_worker *w)
{
    const leat_config *config = w->options.config;
    bool has_proxy = config->trusted.count + config->introducing.count > 0;
    return (leat_http_options){
        .head = {config->max_header_bytes, config->max_headers, config->max_body_bytes,
                 config->max_url_bytes},
        .header_timeout_ms = config->header_timeout_ms,
        .keep_alive_timeout_ms = config->keep_alive_timeout_ms,
        .allowed_origins = config->allowed_origins,
        .centrifuge_path = config->centrifuge_path,
        .static_dir = config->static_dir,
        .client_dir = config->client_dir,
        .policy = &config->http,
        .hosts = &config->hosts,
        .local_only = {[LEAT_HTTP_DOOR_PUBLIC] = is_local_door(w) && !has_proxy,
                       [LEAT_HTTP_DOOR_METRICS] = is_local(w->options.metrics_addr)},
        .trusted = &config->trusted,
        .introducing = &config->introducing,
        .has_metrics_door = config->metrics_listen[0] != '\0',
        .max_unauthenticated =
            (config->max_unauthenticated + config->workers - 1) / config->workers,
        .max_connections = (config->limits.max_connections + config->workers - 1) / config->workers,
        .max_bytes = {[LEAT_HTTP_POT_GUESTS] = config->max_guest_bytes / config->workers,
                      [LEAT_HTTP_POT_CALLERS] = config->max_request_bytes / config->workers},
    };
}

static void fill_http(leat_worker *w)
{
    w->http_options = http_options(w);
    w->http.loop = w->loop;
    w->http.metrics = w->metrics;
    w->http.registry = w->options.registry;
    w->http.core = &w->core;
    w->http.hub = w->options.hub;
    w->http.pool = w->pool;
    w->http.limits = &w->limits;
    w->http.options = &w->http_options;
    w->http.addresses = w->options.addresses;
    const leat_http_policy *policy = &w->options.config->http;
    if (policy->gzip_level > 0)
        w->http.gzip = leat_http_gzip_new(w->loop, w->metrics, (int)policy->gzip_level,
                                          policy->gzip_cache_bytes / w->options.config->workers);
    w->http.on_quiet = check_drained;
    w->http.on_quiet_arg = w;
}

static int cannot_listen(leat_worker *w, const char *address, int err)
{
    leat_buf_printf(&w->start_error, "cannot listen on %s: %s", address, error_text(err));
    return err;
}

static int open_listener(leat_worker *w)
{
    if (w->options.addr == NULL)
        return 0;
    int err =
        leat_listener_open(&w->listener, w->loop, w->options.addr, w->reuse_port, on_accept, w);
    if (err < 0)
        return cannot_listen(w, w->options.config->listen, err);
    leat_listener_address(w->listener, w->address, sizeof(w->address));
    return 0;
}

static int open_tls_listener(leat_worker *w)
{
    const leat_config *config = w->options.config;
    if (w->options.tls_addr == NULL)
        return 0;
    size_t share = (config->max_tls_handshakes + config->workers - 1) / config->workers;
    w->tls = leat_tls_side_new(w->loop, w->metrics,
                               &(leat_tls_side_options){
                                   .store = w->options.tls,
                                   .handshake_timeout_ms = config->tls_handshake_timeout_ms,
                                   .max_handshakes = share,
                               });
    w->http.tls = w->tls;
    int err = leat_listener_open(&w->tls_listener, w->loop, w->options.tls_addr, w->reuse_port,
                                 on_accept_tls, w);
    if (err < 0)
        return cannot_listen(w, config->tls_listen, err);
    leat_listener_address(w->tls_listener, w->tls_address, sizeof(w->tls_address));
    return 0;
}

static int open_metrics_listener(leat_worker *w)
{
    if (w->options.metrics_addr == NULL)
        return 0;
    int err = leat_listener_open(&w->metrics_listener, w->loop, w->options.metrics_addr, false,
                                 on_accept_metrics, w);
    if (err < 0)
        return cannot_listen(w, w->options.config->metrics_listen, err);
    leat_listener_address(w->metrics_listener, w->metrics_address, sizeof(w->metrics_address));
    return 0;
}

static int start_core(leat_worker *w)
{
    w->core.script = leat_lua_script(w->lua);
    int err = leat_core_start(&w->core);
    w->core_started = err == 0;
    if (w->core_started && w->options.host->worker_opens != NULL)
        w->core.native = w->options.host->worker_opens(w->options.host->arg, w);
    return err;
}

static int set_up(leat_worker *w)
{
    leat_list_init(&w->http.conns);
    leat_list_init(&w->http.arrivals);
    int err = leat_loop_new(&w->loop, &w->uv);
    if (err == 0)
        err = leat_mailbox_new(&w->mailbox, &w->uv, on_mail, w);
    if (err == 0)
        err = leat_pg_pool_new(&w->pool, w->loop, w->metrics, &w->pool_options);
    if (err == 0) {
        fill_core(w);
        fill_http(w);
        err = load_scripts(w, &w->start_error);
    }
    if (err == 0)
        err = start_core(w);
    if (err == 0)
        err = open_metrics_listener(w);
    if (err == 0)
        err = open_tls_listener(w);
    if (err == 0)
        err = open_listener(w);
    return err;
}

/* --- serving --- */

static void on_accept(void *arg, uv_os_sock_t socket, const struct sockaddr_storage *peer)
{
    leat_worker *w = arg;
    leat_http_server_accept(&w->http, socket, peer, LEAT_HTTP_DOOR_PUBLIC);
}

static void on_accept_tls(void *arg, uv_os_sock_t socket, const struct sockaddr_storage *peer)
{
    leat_worker *w = arg;
    leat_http_server_accept(&w->http, socket, peer, LEAT_HTTP_DOOR_TLS);
}

static void on_accept_metrics(void *arg, uv_os_sock_t socket, const struct sockaddr_storage *peer)
{
    leat_worker *w = arg;
    leat_http_server_accept(&w->http, socket, peer, LEAT_HTTP_DOOR_METRICS);
}

static void on_mail(void *arg, leat_mail *mail)
{
    leat_worker_job *job = LEAT_CONTAINER_OF(mail, leat_worker_job, mail_);
    job->run(job, arg);
}

static void run_command(leat_worker_job *job, leat_worker *w)
{
    struct command *c = LEAT_CONTAINER_OF(job, struct command, job);
    leat_worker_command command = c->command;
    free(c);
    bool drains_still = w->state == DRAINING && command == LEAT_WORKER_STOP;
    if (w->state != SERVING && !drains_still)
        return;
    switch (command) {
    case LEAT_WORKER_BEAT:
        atomic_fetch_add_explicit(&w->beats, 1, memory_order_relaxed);
        break;
    case LEAT_WORKER_STOP:
        drain(w);
        break;
    }
}

static void on_retired(void *arg)
{
    struct loaded *l = arg;
    leat_worker *w = l->worker;
    leat_list_unlink(&l->link);
    free(l);
    if (w->state == RETIRING && leat_list_empty(&w->scripts))
        close_keys(w);
}

/* Logs each line of the message, which contains the traceback, as a line of its own. */
static void log_script_error(const leat_buf *error)
{
    const char *at = error->at;
    const char *end = at + error->len;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t len = newline == NULL ? (size_t)(end - at) : (size_t)(newline - at);
        char quoted[512];
        LEAT_LOG_ERROR("worker", "scripts not loaded, the old ones stay err=%s",
                       leat_log_quote(quoted, sizeof(quoted), at, len));
        at += len + 1;
    }
}

/* What /readyz?verbose tells of the last reload. Takes why; an empty one: it went well. */
static void note_reload(leat_worker *w, leat_buf *why)
{
    bool failed = why->len > 0;
    size_t line = 0;
    while (line < why->len && why->at[line] != '\n')
        line++;
    why->len = line;
    leat_buf_close(&w->http.reload_failure);
    w->http.reload_failure = *why;
    w->refused_at = failed ? time(NULL) : 0;
    leat_metrics_set(w->metrics, LEAT_M_RELOAD_FAILED, failed);
    leat_metrics_add(w->metrics, failed ? LEAT_M_RELOADS_FAILED : LEAT_M_RELOADS_OK, 1);
}

static void reload(leat_worker *w)
{
    struct loaded *old = LEAT_CONTAINER_OF(w->scripts.prev, struct loaded, link);
    leat_buf error = LEAT_BUF_INIT;
    if (load_scripts(w, &error) < 0) {
        log_script_error(&error);
        note_reload(w, &error);
        return;
    }
    note_reload(w, &error);
    leat_core_set_script(&w->core, leat_lua_script(w->lua));
    LEAT_LOG_INFO("worker", "scripts reloaded");
    leat_lua_retire(old->lua, on_retired, old);
}

void leat_worker_describe_scripts(const leat_worker *w, leat_buf *json)
{
    size_t old = 0;
    for (const leat_list *l = w->scripts.next; l != &w->scripts; l = l->next)
        old++;
    leat_buf_printf(json,
                    "\"loaded_at\":%lld,\"loads\":%zu,\"old_versions\":%zu,\"memory_bytes\":%lld"
                    ",\"errors\":%lld,\"budget_exceeded\":%lld",
                    (long long)w->loaded_at, w->n_loads, old > 0 ? old - 1 : 0,
                    (long long)leat_metrics_get(w->metrics, LEAT_M_SCRIPT_MEMORY),
                    (long long)leat_metrics_get(w->metrics, LEAT_M_SCRIPT_ERRORS),
                    (long long)leat_metrics_get(w->metrics, LEAT_M_SCRIPT_BUDGET));
    if (w->http.reload_failure.len == 0)
        return;
    leat_buf_printf(json, ",\"refused_at\":%lld,\"refused\":", (long long)w->refused_at);
    leat_json_write_text(json, leat_buf_view(&w->http.reload_failure));
}

struct reload {
    leat_worker_job job;
    leat_limits limits;
    leat_buf refused; /* empty: the configuration was read */
};

static void on_reload(leat_worker_job *job, leat_worker *w)
{
    struct reload *r = LEAT_CONTAINER_OF(job, struct reload, job);
    leat_buf refused = r->refused;
    leat_limits limits = r->limits;
    free(r);
    if (w->state != SERVING) {
        leat_buf_close(&refused);
    } else if (refused.len > 0) {
        note_reload(w, &refused);
    } else {
        w->limits = limits;
        reload(w);
    }
}

void leat_worker_reload(leat_worker *w, const leat_limits *limits, const char *refused)
{
    struct reload *r = leat_calloc(1, sizeof(*r));
    r->job.run = on_reload;
    r->limits = *limits;
    if (refused != NULL)
        leat_buf_text(&r->refused, refused);
    if (!leat_worker_do(w, &r->job)) {
        leat_buf_close(&r->refused);
        free(r);
    }
}

/* --- draining --- */

static void on_core_drained(void *arg)
{
    leat_worker *w = arg;
    w->state = DRAINED;
    check_drained(w);
}

/* Returns how many raw connections there are; closes them first if told to. */
static size_t count_raw(leat_worker *w, bool close_all)
{
    size_t count = 0;
    for (leat_list *link = w->scripts.next; link != &w->scripts; link = link->next) {
        leat_lua *lua = LEAT_CONTAINER_OF(link, struct loaded, link)->lua;
        if (close_all)
            leat_lua_raw_close_all(lua, LEAT_CLOSE_GOING_AWAY, "the server is stopping");
        count += leat_lua_raw_count(lua);
    }
    return count;
}

static void close_listener(leat_listener **listener)
{
    if (*listener != NULL)
        leat_listener_close(*listener, NULL, NULL);
    *listener = NULL;
}

static void drain(leat_worker *w)
{
    w->state = DRAINING;
    w->http.draining = true;
    close_listener(&w->listener);
    close_listener(&w->tls_listener);
    count_raw(w, true);
    if (w->options.host->worker_drains != NULL)
        w->options.host->worker_drains(w->options.host->arg, w);
    leat_core_drain(&w->core, on_core_drained, w);
}

static void on_raw_check(leat_deadline *d)
{
    check_drained(LEAT_CONTAINER_OF(d, leat_worker, raw_check));
}

/* Called whenever a connection or a request has ended. */
static void check_drained(void *arg)
{
    leat_worker *w = arg;
    if (w->state == GOING_DOWN) {
        if (w->http.n_conns == 0)
            stop_core(w);
        return;
    }
    if (w->state != DRAINED || w->http.n_busy > 0)
        return;
    if (count_raw(w, false) > 0) {
        leat_loop_after(w->loop, &w->raw_check, RAW_CHECK_MS, on_raw_check);
        return;
    }
    close_http(w);
}

/* --- the way down --- */

/* The listener of the metrics stays open until here, so that metrics can be read during a drain. */
static void close_http(leat_worker *w)
{
    w->state = GOING_DOWN;
    close_listener(&w->metrics_listener);
    close_listener(&w->tls_listener); /* open only if the set-up has failed after it */
    w->http.draining = true;          /* then on_quiet is called when the last connection is gone */
    leat_deadline_cancel(&w->raw_check);
    leat_http_server_close(&w->http);
    if (w->http.n_conns == 0)
        stop_core(w);
}

static void stop_core(leat_worker *w)
{
    w->http.on_quiet = NULL;
    if (w->core_started)
        leat_core_stop(&w->core, retire_scripts, w);
    else
        retire_scripts(w);
}

static void retire_scripts(void *arg)
{
    leat_worker *w = arg;
    leat_lua *current = w->lua;
    w->lua = NULL;
    w->state = RETIRING;
    if (current != NULL)
        leat_lua_retire(current, on_retired,
                        LEAT_CONTAINER_OF(w->scripts.prev, struct loaded, link));
    else if (leat_list_empty(&w->scripts))
        close_keys(w);
}

static void close_keys(leat_worker *w)
{
    leat_key_store *keys = w->core.keys;
    w->core.keys = NULL;
    if (keys != NULL)
        leat_key_store_close(keys, close_pool, w);
    else
        close_pool(w);
}

static void close_pool(void *arg)
{
    leat_worker *w = arg;
    if (w->pool != NULL)
        leat_pg_pool_close(w->pool, close_mailbox, w);
    else
        close_mailbox(w);
}

static void close_mailbox(void *arg)
{
    leat_worker *w = arg;
    if (w->mailbox != NULL)
        leat_mailbox_close(w->mailbox, close_loop, w);
    else
        close_loop(w);
}

static void close_loop(void *arg)
{
    leat_worker *w = arg;
    if (w->loop != NULL)
        leat_loop_close(w->loop, NULL, NULL);
}
