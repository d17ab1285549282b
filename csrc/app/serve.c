/* serve.c - open_handles -> (on_signal, on_look, on_watchdog) -> close_handles, all on the server's
 * loop. */
#include "app/serve.h"

#include <signal.h>
#include <unistd.h>

#include "app/late_check.h"
#include "app/memory.h"
#include "app/service.h"
#include "control/control.h"
#include "engine/engine.h"

/* So often the watchdog is fed in the time that it allows. */
#define WATCHDOG_BEATS 3

enum { SIGNAL_TERM, SIGNAL_INT, SIGNAL_HUP, N_SIGNALS };

struct process {
    leat_engine *server;
    const leat_serve_options *options;
    leat_confinement *confinement;
    leat_control *control; /* NULL: there is neither an operator's socket nor a console */
    leat_memory memory;
    uv_signal_t signals[N_SIGNALS];
    uv_timer_t look;
    uv_timer_t watchdog;
    bool draining;
    leat_late_check late; /* used if options->is_unexamined */
    leat_buf refused;     /* why the late check forbids serving; empty: it does not */
};

/* The process goes on: the caller of a refused system call got an error. */
static void look_at_refused_calls(struct process *p)
{
    leat_metrics *metrics = leat_engine_metrics(p->server);
    unsigned refused = atomic_load(&p->confinement->refused);
    if ((int64_t)refused == leat_metrics_get(metrics, LEAT_M_SYSTEM_CALLS_REFUSED))
        return;
    leat_metrics_set(metrics, LEAT_M_SYSTEM_CALLS_REFUSED, refused);
    LEAT_LOG_WARN("server", "system call refused last_number=%d total=%u",
                  atomic_load(&p->confinement->last_refused), refused);
}

static void tell_confinement(struct process *p)
{
    leat_metrics *metrics = leat_engine_metrics(p->server);
    int landlock = p->confinement->landlock;
    leat_metrics_set(metrics, LEAT_M_CONFINED_LANDLOCK, landlock > 0);
    leat_metrics_set(metrics, LEAT_M_CONFINED_SECCOMP, p->confinement->seccomp);
    LEAT_LOG_INFO("server", "confined landlock=%d seccomp=%s", landlock,
                  p->confinement->seccomp ? "yes" : "no");
}

static void on_look(uv_timer_t *timer)
{
    struct process *p = timer->data;
    leat_memory_look(&p->memory);
    look_at_refused_calls(p);
}

/* The service manager restarts a server whose watchdog is not fed: one whose worker turns no more.
 */
static void on_watchdog(uv_timer_t *timer)
{
    struct process *p = timer->data;
    if (leat_engine_beat(p->server))
        leat_service_tell(LEAT_SERVICE_ALIVE);
    else
        LEAT_LOG_WARN("server", "a worker does not answer; the watchdog is not fed");
}

static void reload(struct process *p)
{
    leat_config fresh;
    leat_buf error = LEAT_BUF_INIT;
    if (p->options->read(p->options->arg, &fresh, &error) < 0) {
        leat_buf why = LEAT_BUF_INIT;
        for (size_t i = 0; i < error.len; i++)
            leat_buf_append(&why, error.at[i] == '\n' ? "; " : &error.at[i],
                            error.at[i] == '\n' ? 2 : 1);
        leat_buf_char(&why, '\0');
        leat_engine_reload_failed(p->server, why.at);
        leat_buf_close(&why);
    } else {
        leat_engine_reload(p->server, &fresh);
        leat_config_free(&fresh);
    }
    leat_buf_close(&error);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct process *p = handle->data;
    if (number == SIGHUP) {
        reload(p);
    } else if (p->draining) {
        leat_engine_force(p->server, "second_signal");
    } else {
        p->draining = true;
        leat_engine_drain(p->server);
    }
}

/* The process ends as if its start had been refused. Clients that it serves already are sent away.
 */
static void on_refused(void *arg, const leat_buf *why)
{
    struct process *p = arg;
    char quoted[512];
    LEAT_LOG_ERROR("server", "the database is there, and cannot be served err=%s",
                   leat_log_quote(quoted, sizeof(quoted), why->at, why->len));
    leat_buf_slice(&p->refused, leat_buf_view(why));
    if (!p->draining)
        leat_engine_drain(p->server);
    p->draining = true;
}

static void begin_late_check(struct process *p, uv_loop_t *loop)
{
    p->late = (leat_late_check){
        .config = p->options->config, .log = p->options->log, .on_refused = on_refused, .arg = p};
    leat_late_check_begin(&p->late, loop);
}

static const int signal_numbers[N_SIGNALS] = {SIGTERM, SIGINT, SIGHUP};

static int open_handles(void *arg, leat_engine *server, uv_loop_t *loop)
{
    struct process *p = arg;
    int err = 0;
    p->server = server;
    tell_confinement(p);
    uv_timer_init(loop, &p->look);
    p->look.data = p;
    uv_timer_start(&p->look, on_look, 0, LEAT_MEMORY_LOOK_MS);
    uv_timer_init(loop, &p->watchdog);
    p->watchdog.data = p;
    uint64_t watchdog_ms = leat_service_watchdog_ms() / WATCHDOG_BEATS;
    if (watchdog_ms > 0)
        uv_timer_start(&p->watchdog, on_watchdog, 0, watchdog_ms);
    if (p->options->is_unexamined)
        begin_late_check(p, loop);
    for (int i = 0; i < N_SIGNALS; i++) {
        uv_signal_init(loop, &p->signals[i]);
        p->signals[i].data = p;
    }
    for (int i = 0; i < N_SIGNALS && err == 0; i++)
        err = uv_signal_start(&p->signals[i], on_signal, signal_numbers[i]);
    if (err == 0 && (p->options->control >= 0 || p->options->console >= 0)) {
        p->control =
            leat_control_new(server, p->options->config, p->options->control, p->options->console);
        err = leat_control_open(p->control, loop);
    }
    return err;
}

/* A signal that comes while the process ends, its work done, does not change the exit code. */
static void close_handles(void *arg)
{
    struct process *p = arg;
    uv_close((uv_handle_t *)&p->look, NULL);
    uv_close((uv_handle_t *)&p->watchdog, NULL);
    if (p->options->is_unexamined)
        leat_late_check_end(&p->late);
    for (int i = 0; i < N_SIGNALS; i++) {
        uv_close((uv_handle_t *)&p->signals[i], NULL);
        signal(signal_numbers[i], SIG_IGN);
    }
    if (p->control != NULL)
        leat_control_close(p->control);
}

static void on_stopping(void *arg)
{
    (void)arg;
    leat_service_tell(LEAT_SERVICE_STOPPING);
}

static void on_overdue(void *arg)
{
    struct process *p = arg;
    leat_engine_force(p->server, "drain_timeout");
}

static void run(leat_engine *server, const struct process *p)
{
    if (leat_engine_run(server) == 0)
        return;
    leat_log_flush(p->options->log, LEAT_LOG_EXIT_MS);
    /* Somebody asked for it, or it waited long enough. Threads still run, so nothing can be freed.
     */
    _exit(p->refused.len > 0 ? 1 : 0);
}

int leat_serve(const leat_serve_options *options, leat_buf *error)
{
    struct process process = {.options = options, .confinement = options->confinement};
    leat_engine_host host = {
        .arg = &process,
        .open = open_handles,
        .close = close_handles,
        .stopping = on_stopping,
        .overdue = on_overdue,
        .sockets = options->sockets,
    };
    leat_engine *server = leat_engine_new(options->config, options->log, &host);
    int err = leat_engine_start(server, error);
    if (err == 0) {
        if (process.control != NULL)
            leat_control_tell(process.control);
        leat_service_tell(LEAT_SERVICE_READY);
        options->on_start(options->arg, leat_engine_address(server));
        run(server, &process);
    }
    leat_engine_free(server);
    leat_control_free(process.control);
    if (err == 0 && process.refused.len > 0) {
        leat_buf_slice(error, leat_buf_view(&process.refused));
        err = LEAT_ESCHEMA;
    }
    leat_buf_close(&process.refused);
    return err;
}
