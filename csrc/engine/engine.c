/* The server's course: leat_engine_start starts the hub's thread and then one worker after the
 * other, because the others listen on the port that the first one got. leat_engine_run runs the
 * loop, on which the host has handles of its own. leat_engine_drain tells every worker to stop.
 * Each worker sends a mail when it has ended (on_mail); after the last one the handles are closed
 * and the loop ends.
 */
#include "engine/engine.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <uv.h>

#include "base/mem.h"
#include "base/metrics.h"
#include "engine/config_reload.h"
#include "engine/worker.h"
#include "hub/hub.h"
#include "loop/mailbox.h"
#include "net/listener.h"
#include "wire/announcement.h"

#define LISTENER_NAME "leat listener"
#define REPAIR_NAME "leat repair"
#define POOL_CLEAN_TIMEOUT_MS 5000
#define MAX_BACKOFF_MS 2000
#define HUB_POOL_SIZE 2
#define HUB_STATEMENTS 16
#define KEEPALIVE_MS 5000
#define KEEPALIVE_TIMEOUT_MS 5000
/* Added to the timeouts of the clients' close handshakes. */
#define DRAIN_RESERVE_MS 2000
/* A query's result in memory is somewhat larger than the JSON made of it. */
#define RESULT_PER_SNAPSHOT 4

/* What max_connections_per_address = 0 means. */
#define USUAL_CONNECTIONS_PER_ADDRESS 256

struct leat_engine {
    const leat_config *config;
    leat_config_live live; /* what the last reload has made of it */
    leat_log *log;
    leat_metrics_registry *metrics;
    leat_metrics *own_metrics; /* of the main thread */
    const leat_engine_host *host;
    uv_loop_t uv;
    leat_mailbox *mailbox;
    uv_timer_t drain_deadline;
    unsigned n_beats; /* that each worker was asked for */
    uv_timer_t tls_look;
    leat_hub *hub;
    leat_pg_pool_options pool;
    struct sockaddr_storage addr;
    struct sockaddr_storage metrics_addr;
    struct sockaddr_storage tls_addr;
    leat_address_limit *addresses;
    leat_tls_store *tls; /* NULL: tls_listen is not set */
    leat_worker **workers;
    size_t n_started;
    size_t n_over;
    enum { BUILT_NOTHING, BUILT_LOOP, BUILT_HANDLES, BUILT_HUB } built; /* the last one that is */
    enum { SERVING, DRAINING, FORCED } state;
};

static int open_handles(leat_engine *s);
static void close_handles(leat_engine *s);
static int open_tls(leat_engine *s, leat_buf *error);
static int start_hub(leat_engine *s);
static int start_workers(leat_engine *s, leat_buf *error);
static void on_mail(void *arg, leat_mail *mail);
static void stop_workers(leat_engine *s);

/* Returns a share of the pool, at least one connection. */
static size_t share_of(const leat_config *config, size_t percent)
{
    size_t n = config->pool_size * percent / 100;
    return n > 0 ? n : 1;
}

static size_t connections_of_address(const leat_config *config)
{
    return config->max_connections_per_address > 0 ? config->max_connections_per_address
                                                   : USUAL_CONNECTIONS_PER_ADDRESS;
}

/* A peer on this machine may be a proxy that is not in trusted_proxies: it stands for many. */
static size_t connections_of_this_machine(const leat_config *config)
{
    size_t half = config->limits.max_connections / 2;
    return config->max_connections_per_address == 0 && half > USUAL_CONNECTIONS_PER_ADDRESS
               ? half
               : connections_of_address(config);
}

static bool has_plain(const leat_engine *s)
{
    return strcmp(s->config->listen, LEAT_CONFIG_NO_LISTEN) != 0;
}

leat_engine *leat_engine_new(const leat_config *config, leat_log *log, const leat_engine_host *host)
{
    leat_engine *s = leat_calloc(1, sizeof(*s));
    s->config = config;
    s->live = (leat_config_live){config->limits, config->level};
    s->log = log;
    s->host = host;
    s->metrics = leat_metrics_registry_new();
    s->own_metrics = leat_metrics_new(s->metrics);
    leat_metrics_set(s->own_metrics, LEAT_M_MAX_CONNECTIONS,
                     (int64_t)config->limits.max_connections);
    leat_log_count_in(log, leat_metrics_new(s->metrics));
    s->addresses = leat_address_limit_new(&(leat_address_limits){
        .connections = connections_of_address(config),
        .local_connections = connections_of_this_machine(config),
        .opening = config->connection_rate_per_address,
    });
    s->workers = leat_calloc(config->workers, sizeof(*s->workers));
    s->pool = (leat_pg_pool_options){
        .pg =
            {
                .conninfo = config->database_url,
                .max_statements = config->max_statements,
                .connect_timeout_ms = config->database_connect_timeout_ms,
                .max_result_bytes = config->limits.max_snapshot_bytes * RESULT_PER_SNAPSHOT,
            },
        .size = config->pool_size,
        .max_waiters = config->pool_max_waiters,
        .reserve = config->pool_size > 1 ? share_of(config, config->pool_reserve_percent) : 0,
        .per_client = share_of(config, config->pool_client_percent),
        .per_user = share_of(config, config->pool_user_percent),
        .idle_timeout_ms = config->pool_idle_timeout_ms,
        .clean_timeout_ms = POOL_CLEAN_TIMEOUT_MS,
        .max_backoff_ms = MAX_BACKOFF_MS,
    };
    return s;
}

int leat_engine_start(leat_engine *s, leat_buf *error)
{
    int err = open_handles(s);
    if (err == 0)
        err = open_tls(s, error);
    if (err == 0)
        err = start_hub(s);
    if (err == 0)
        err = start_workers(s, error);
    if (err < 0) {
        if (error->len == 0)
            leat_buf_printf(error, "cannot start: %s",
                            leat_err_name(err) != NULL ? leat_err_name(err) : uv_strerror(err));
        stop_workers(s);
        if (s->n_over == s->n_started)
            close_handles(s);
        if (s->built >= BUILT_LOOP)
            uv_run(&s->uv, UV_RUN_DEFAULT);
        return err;
    }
    if (s->config->metrics_listen[0] != '\0')
        LEAT_LOG_INFO("server", "metrics address=%s", leat_worker_metrics_address(s->workers[0]));
    if (s->tls != NULL)
        LEAT_LOG_INFO("server", "listening with TLS address=%s",
                      leat_worker_tls_address(s->workers[0]));
    if (has_plain(s))
        LEAT_LOG_INFO("server", "listening address=%s", leat_worker_address(s->workers[0]));
    return 0;
}

const char *leat_engine_address(const leat_engine *s)
{
    return has_plain(s) ? leat_worker_address(s->workers[0])
                        : leat_worker_tls_address(s->workers[0]);
}

int leat_engine_run(leat_engine *s)
{
    uv_run(&s->uv, UV_RUN_DEFAULT);
    if (s->state == FORCED)
        return LEAT_EDEADLINE;
    LEAT_LOG_INFO("server", "stopped");
    return 0;
}

void leat_engine_free(leat_engine *s)
{
    for (size_t i = 0; i < s->config->workers; i++) {
        if (i < s->n_started)
            leat_worker_join(s->workers[i]);
        if (s->workers[i] != NULL)
            leat_worker_free(s->workers[i]);
    }
    if (s->built >= BUILT_HUB)
        leat_hub_stop(s->hub);
    if (s->hub != NULL)
        leat_hub_free(s->hub);
    leat_mailbox_free(s->mailbox);
    if (s->built >= BUILT_LOOP)
        LEAT_ASSERT(uv_loop_close(&s->uv) == 0);
    leat_log_count_in(s->log, NULL);
    leat_address_limit_free(s->addresses);
    leat_tls_store_free(s->tls);
    leat_metrics_registry_free(s->metrics);
    free(s->workers);
    free(s);
}

/* --- starting --- */

leat_metrics *leat_engine_metrics(leat_engine *s)
{
    return s->own_metrics;
}

size_t leat_engine_n_workers(const leat_engine *s)
{
    return s->n_started;
}

leat_worker *leat_engine_worker(leat_engine *s, size_t i)
{
    return s->workers[i];
}

leat_hub *leat_engine_hub(leat_engine *s)
{
    return s->hub;
}

leat_metrics_registry *leat_engine_registry(leat_engine *s)
{
    return s->metrics;
}

bool leat_engine_serves(const leat_engine *s)
{
    return s->state == SERVING;
}

static bool workers_have_answered(const leat_engine *s)
{
    for (size_t i = 0; i < s->n_started; i++)
        if (leat_worker_beats(s->workers[i]) != s->n_beats)
            return false;
    return true;
}

void leat_engine_render_metrics(leat_engine *s, leat_buf *out)
{
    leat_metrics_render(s->metrics, out);
}

bool leat_engine_beat(leat_engine *s)
{
    if (s->state != SERVING)
        return true;
    if (!workers_have_answered(s))
        return false;
    s->n_beats++;
    for (size_t i = 0; i < s->n_started; i++)
        leat_worker_post(s->workers[i], LEAT_WORKER_BEAT);
    return true;
}

static int open_handles(leat_engine *s)
{
    int err = uv_loop_init(&s->uv);
    if (err < 0)
        return err;
    s->built = BUILT_LOOP;
    err = leat_mailbox_new(&s->mailbox, &s->uv, on_mail, s);
    if (err < 0)
        return err;
    s->built = BUILT_HANDLES;
    uv_timer_init(&s->uv, &s->drain_deadline);
    s->drain_deadline.data = s;
    uv_timer_init(&s->uv, &s->tls_look);
    s->tls_look.data = s;
    return s->host->open(s->host->arg, s, &s->uv);
}

static void on_tls_look(uv_timer_t *timer)
{
    leat_tls_store_look(((leat_engine *)timer->data)->tls);
}

static int open_tls(leat_engine *s, leat_buf *error)
{
    const leat_config *config = s->config;
    if (config->tls_listen[0] == '\0')
        return 0;
    leat_tls_files files = leat_config_tls_files(config);
    int err = leat_tls_store_new(&s->tls, &files, leat_metrics_new(s->metrics), error);
    if (err == 0)
        uv_timer_start(&s->tls_look, on_tls_look, config->tls_check_interval_ms,
                       config->tls_check_interval_ms);
    return err;
}

static int start_hub(leat_engine *s)
{
    leat_hub_options options = {
        .limits = &s->config->limits,
        .pool = s->pool,
        .listener =
            {
                .pg = s->pool.pg,
                .channel = LEAT_ANNOUNCEMENT_CHANNEL,
                .max_backoff_ms = MAX_BACKOFF_MS,
                .keepalive_ms = KEEPALIVE_MS,
                .keepalive_timeout_ms = KEEPALIVE_TIMEOUT_MS,
            },
        .log = s->log,
        .metrics = s->metrics,
    };
    options.pool.size = HUB_POOL_SIZE;
    options.pool.pg.conninfo = options.listener.pg.conninfo = s->config->listen_url;
    options.pool.pg.application_name = REPAIR_NAME;
    options.listener.pg.application_name = LISTENER_NAME;
    options.listener.pg.max_statements = options.pool.pg.max_statements = HUB_STATEMENTS;
    options.pool.reserve = 0;             /* the hub has no handshakes */
    options.pool.pg.max_result_bytes = 0; /* the hub bounds its fetches itself */
    int err = leat_hub_new(&s->hub, &options);
    if (err < 0)
        return err;
    err = leat_hub_start(s->hub);
    if (err == 0)
        s->built = BUILT_HUB;
    return err;
}

/* Sockets of several workers share the port (SO_REUSEPORT), and would share it with another server
 * of the same user, too. So this looks first whether anybody listens there. */
static int probe(const struct sockaddr_storage *addr)
{
    int fd = socket(addr->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return uv_translate_sys_error(errno);
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    socklen_t len =
        addr->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    int err = bind(fd, (const struct sockaddr *)addr, len) < 0 || listen(fd, 1) < 0
                  ? uv_translate_sys_error(errno)
                  : 0;
    close(fd);
    return err;
}

static int start_worker(leat_engine *s, size_t i, leat_buf *error)
{
    leat_worker_options options = {
        .config = s->config,
        .log = s->log,
        .registry = s->metrics,
        .hub = s->hub,
        .index = i,
        .addresses = s->addresses,
        .metrics_addr = i == 0 && s->config->metrics_listen[0] != '\0' ? &s->metrics_addr : NULL,
        .addr = has_plain(s) ? &s->addr : NULL,
        .tls_addr = s->tls != NULL ? &s->tls_addr : NULL,
        .tls = s->tls,
        .pool = &s->pool,
        .host = s->host,
        .home = s->mailbox,
    };
    s->workers[i] = leat_worker_new(&options);
    int err = leat_worker_start(s->workers[i], s->config->workers > 1, error);
    if (err == 0)
        s->n_started++;
    return err;
}

/* Nobody else may have the address, if several sockets of ours are to share it. */
static int parse_address(const leat_engine *s, struct sockaddr_storage *out, const char *text,
                         leat_buf *error)
{
    int err = leat_listener_parse(out, text);
    if (err < 0 || s->config->workers == 1)
        return err;
    err = probe(out);
    if (err < 0)
        leat_buf_printf(error, "cannot listen on %s: %s", text, uv_strerror(err));
    return err;
}

static int parse_addresses(leat_engine *s, leat_buf *error)
{
    int err = 0;
    if (has_plain(s))
        err = parse_address(s, &s->addr, s->config->listen, error);
    if (err == 0 && s->tls != NULL)
        err = parse_address(s, &s->tls_addr, s->config->tls_listen, error);
    if (err == 0 && s->config->metrics_listen[0] != '\0')
        err = leat_listener_parse(&s->metrics_addr, s->config->metrics_listen);
    return err;
}

/* For port 0 the kernel has chosen a port; the other workers use the same one. */
static int note_addresses(leat_engine *s)
{
    int err = 0;
    if (has_plain(s))
        err = leat_listener_parse(&s->addr, leat_worker_address(s->workers[0]));
    if (err == 0 && s->tls != NULL)
        err = leat_listener_parse(&s->tls_addr, leat_worker_tls_address(s->workers[0]));
    return err;
}

static int start_workers(leat_engine *s, leat_buf *error)
{
    int err = parse_addresses(s, error);
    for (size_t i = 0; i < s->config->workers && err == 0; i++) {
        err = start_worker(s, i, error);
        if (err == 0 && i == 0)
            err = note_addresses(s);
    }
    return err;
}

/* --- commands and the end --- */

/* Each worker gets a copy of the limits. */
static void post_reload(leat_engine *s, const char *refused)
{
    for (size_t i = 0; i < s->n_started; i++)
        leat_worker_reload(s->workers[i], &s->live.limits, refused);
}

void leat_engine_reload(leat_engine *s, const leat_config *fresh)
{
    if (s->state != SERVING)
        return;
    LEAT_LOG_INFO("server", "reloading");
    if (fresh != NULL)
        leat_config_take_over(&s->live, s->config, fresh);
    leat_log_set_level(s->log, s->live.level);
    if (s->tls != NULL)
        leat_tls_store_look(s->tls);
    post_reload(s, NULL);
}

void leat_engine_reload_failed(leat_engine *s, const char *why)
{
    char quoted[512];
    if (s->state != SERVING)
        return;
    LEAT_LOG_ERROR("server", "configuration not read, nothing is reloaded err=%s",
                   leat_log_quote(quoted, sizeof(quoted), why, strlen(why)));
    post_reload(s, why);
}

void leat_engine_force(leat_engine *s, const char *reason)
{
    LEAT_LOG_WARN("server", "stopped at once reason=%s", reason);
    s->state = FORCED;
    uv_stop(&s->uv);
}

static void on_drain_deadline(uv_timer_t *timer)
{
    leat_engine *s = timer->data;
    s->host->overdue(s->host->arg);
}

static void stop_workers(leat_engine *s)
{
    s->state = DRAINING;
    s->host->stopping(s->host->arg);
    for (size_t i = 0; i < s->n_started; i++)
        leat_worker_post(s->workers[i], LEAT_WORKER_STOP);
}

void leat_engine_drain(leat_engine *s)
{
    const leat_limits *limits = &s->config->limits;
    uint64_t timeout_ms =
        limits->drain_ms + limits->close_timeout_ms + limits->control_timeout_ms + DRAIN_RESERVE_MS;
    if (s->state == SERVING)
        LEAT_LOG_INFO("server", "draining drain_ms=%" PRIu64, limits->drain_ms);
    stop_workers(s); /* a second time: they wait no longer */
    if (!uv_is_active((uv_handle_t *)&s->drain_deadline))
        uv_timer_start(&s->drain_deadline, on_drain_deadline, timeout_ms, 0);
}

static void on_mail(void *arg, leat_mail *mail)
{
    (void)mail; /* a part of the worker that has ended */
    leat_engine *s = arg;
    s->n_over++;
    if (s->n_over == s->n_started)
        close_handles(s);
}

static void close_handles(leat_engine *s)
{
    if (s->mailbox != NULL)
        leat_mailbox_close(s->mailbox, NULL, NULL);
    if (s->built < BUILT_HANDLES)
        return;
    uv_close((uv_handle_t *)&s->drain_deadline, NULL);
    uv_close((uv_handle_t *)&s->tls_look, NULL);
    s->host->close(s->host->arg);
}
