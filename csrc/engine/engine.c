/* The server's course: leat_engine_start starts the hub and then one worker after the other,
 * because the others listen on the port that the first one got. leat_engine_run runs the loop, on
 * which the host has handles of its own. leat_engine_drain tells every worker to stop. Each worker
 * sends a mail when it has ended (on_mail); after the last one the handles are closed and the loop
 * ends.
 *
 * Each worker has a thread. Of several workers, none waits for the scripts of another one, so the
 * hub has a thread of its own then. A single worker shares its thread with the hub, unless its
 * scripts may compute for seconds: an event costs no wake-up of another thread, and nobody else
 * would be served while the worker's scripts compute.
 */
#include "engine/engine.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <uv.h>

#include "base/mem.h"
#include "base/metrics.h"
#include "base/metrics_text.h"
#include "engine/config_reload.h"
#include "engine/doorman.h"
#include "engine/layer_options.h"
#include "engine/worker.h"
#include "hub/hub.h"
#include "loop/mailbox.h"
#include "net/listener.h"

/* Scripts that may compute for longer do not share their thread with the hub. */
#define SHARED_BUDGET_MS 1000
/* Added to the timeouts of the clients' close handshakes. */
#define DRAIN_RESERVE_MS 2000

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
    leat_loop_thread *hub_thread;
    struct sockaddr_storage addr;
    struct sockaddr_storage metrics_addr;
    struct sockaddr_storage tls_addr;
    leat_address_limit *addresses;
    leat_tls_store *tls;   /* NULL: tls_listen is not set */
    leat_doorman *doorman; /* NULL: the workers listen themselves */
    leat_worker **workers;
    leat_loop_thread **threads; /* of the workers; the only one of them is the hub's as well */
    size_t n_started;
    size_t n_over;
    enum { BUILT_NOTHING, BUILT_LOOP, BUILT_HANDLES } built; /* the last one that is */
    enum { DOORS_NONE, DOORS_OPEN, DOORS_SHUT } doors;       /* the doorman's */
    enum { SERVING, DRAINING, FORCED } state;
};

static int open_handles(leat_engine *s);
static void close_handles(leat_engine *s);
static int open_tls(leat_engine *s, leat_buf *error);
static int start_hub(leat_engine *s);
static int start_workers(leat_engine *s, leat_buf *error);
static int open_doorman(leat_engine *s);
static void on_mail(void *arg, leat_mail *mail);
static void stop_workers(leat_engine *s);

static bool has_plain(const leat_engine *s)
{
    return strcmp(s->config->listen, LEAT_CONFIG_NO_LISTEN) != 0;
}

leat_engine *leat_engine_new(const leat_config *config, leat_log *log, const leat_engine_host *host)
{
    leat_engine *s = leat_calloc(1, sizeof(*s));
    s->config = config;
    s->live = (leat_config_live){config->limits, config->levels};
    s->log = log;
    s->host = host;
    s->metrics = leat_metrics_registry_new();
    s->own_metrics = leat_metrics_new(s->metrics);
    leat_metrics_set(s->own_metrics, LEAT_M_MAX_CONNECTIONS,
                     (int64_t)config->limits.max_connections);
    leat_log_count_in(log, leat_metrics_new(s->metrics));
    leat_address_limits limits = leat_layer_options_address(config);
    s->addresses = leat_address_limit_new(&limits);
    s->workers = leat_calloc(config->workers, sizeof(*s->workers));
    s->threads = leat_calloc(config->workers, sizeof(*s->threads));
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
    if (err == 0)
        err = open_doorman(s);
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

/* The workers have ended, as far as they were started. The hub may close then. */
static void end_threads(leat_engine *s)
{
    for (size_t i = 0; i < s->config->workers; i++)
        if (s->threads[i] != NULL && s->threads[i] != s->hub_thread)
            leat_loop_thread_end(s->threads[i]);
    if (s->hub != NULL)
        leat_hub_stop(s->hub);
    if (s->hub_thread != NULL)
        leat_loop_thread_end(s->hub_thread);
}

void leat_engine_free(leat_engine *s)
{
    end_threads(s);
    for (size_t i = 0; i < s->config->workers; i++)
        if (s->workers[i] != NULL)
            leat_worker_free(s->workers[i]);
    if (s->hub != NULL)
        leat_hub_free(s->hub);
    leat_mailbox_free(s->mailbox);
    leat_doorman_free(s->doorman);
    if (s->built >= BUILT_LOOP)
        LEAT_ASSERT(uv_loop_close(&s->uv) == 0);
    leat_log_count_in(s->log, NULL);
    leat_address_limit_free(s->addresses);
    leat_tls_store_free(s->tls);
    leat_metrics_registry_free(s->metrics);
    free(s->workers);
    free(s->threads);
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

/* Scripts that compute hold up the hub if they run on its thread. */
static bool shares_thread(const leat_engine *s)
{
    return s->config->workers == 1 && s->config->script_budget_ms <= SHARED_BUDGET_MS;
}

static int make_hub(leat_engine *s)
{
    leat_hub_options options = leat_layer_options_hub(s->config);
    options.metrics = s->metrics;
    options.loop = leat_loop_thread_loop(s->hub_thread);
    int err = leat_hub_new(&s->hub, &options);
    return err < 0 ? err : leat_hub_start(s->hub);
}

/* A thread that it shares is started by the worker. */
static int start_hub(leat_engine *s)
{
    int err = leat_loop_thread_new(&s->hub_thread);
    if (err == 0)
        err = make_hub(s);
    if (err == 0 && !shares_thread(s))
        err = leat_loop_thread_start(s->hub_thread, "leat-hub", s->log, NULL, NULL);
    return err;
}

/* Returns the address of the first socket that the host has for that door; NULL: it has none. */
static const struct sockaddr_storage *address_of_host(const leat_engine *s, leat_http_door door)
{
    const leat_engine_sockets *sockets = s->host->sockets;
    for (size_t i = 0; sockets != NULL && i < sockets->count; i++)
        if (sockets->at[i].door == door)
            return &sockets->at[i].addr;
    return NULL;
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
        .has_doorman =
            {
                [LEAT_HTTP_DOOR_PUBLIC] = address_of_host(s, LEAT_HTTP_DOOR_PUBLIC) != NULL,
                [LEAT_HTTP_DOOR_TLS] = address_of_host(s, LEAT_HTTP_DOOR_TLS) != NULL,
            },
        .pool = leat_layer_options_pool(s->config, i),
        .host = s->host,
        .home = s->mailbox,
    };
    if (shares_thread(s))
        s->threads[i] = s->hub_thread;
    int err = s->threads[i] == NULL ? leat_loop_thread_new(&s->threads[i]) : 0;
    if (err < 0)
        return err;
    s->workers[i] = leat_worker_new(&options);
    /* The sockets of the first worker share their ports with none: with no other server of the same
     * user, and not with each other. Those of the others share with the first worker's. */
    err = leat_worker_start(s->workers[i], s->threads[i], i > 0, error);
    if (err == 0)
        s->n_started++;
    return err;
}

static int parse_address(const leat_engine *s, struct sockaddr_storage *out, leat_http_door door,
                         const char *text)
{
    const struct sockaddr_storage *of_host = address_of_host(s, door);
    if (of_host != NULL) {
        *out = *of_host;
        return 0;
    }
    return leat_listener_parse(out, text);
}

static int parse_addresses(leat_engine *s)
{
    int err = 0;
    if (has_plain(s))
        err = parse_address(s, &s->addr, LEAT_HTTP_DOOR_PUBLIC, s->config->listen);
    if (err == 0 && s->tls != NULL)
        err = parse_address(s, &s->tls_addr, LEAT_HTTP_DOOR_TLS, s->config->tls_listen);
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
    int err = parse_addresses(s);
    for (size_t i = 0; i < s->config->workers && err == 0; i++) {
        err = start_worker(s, i, error);
        if (err == 0 && i == 0)
            err = note_addresses(s);
    }
    return err;
}

static int open_doorman(leat_engine *s)
{
    const leat_engine_sockets *sockets = s->host->sockets;
    if (sockets == NULL || sockets->count == 0)
        return 0;
    LEAT_LOG_INFO("server", "sockets of the service manager n=%zu", sockets->count);
    int err = leat_doorman_open(&s->doorman, &s->uv, sockets, s->workers, s->n_started);
    s->doors = s->doorman != NULL ? DOORS_OPEN : DOORS_NONE;
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
    leat_log_set_levels(s->log, &s->live.levels);
    if (s->tls != NULL)
        leat_tls_store_look(s->tls);
    post_reload(s, NULL);
}

void leat_engine_set_log_levels(leat_engine *s, const leat_log_levels *levels)
{
    s->live.levels = *levels;
    leat_log_set_levels(s->log, levels);
}

leat_log_levels leat_engine_log_levels(const leat_engine *s)
{
    return s->live.levels;
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

/* The workers stop after they have got what the doorman has accepted. */
static void stop_workers(leat_engine *s)
{
    s->state = DRAINING;
    if (s->doors == DOORS_OPEN) {
        s->doors = DOORS_SHUT;
        leat_doorman_close(s->doorman);
    }
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
