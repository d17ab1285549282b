/* embed.c - the life of a server in a program: leat_start -> the engine's thread (run_engine) ->
 * on_ready ... leat_stop -> the engine drains and ends -> on_stopped.
 *
 * The engine has a loop and a thread of its own, so that it does not depend on how often the
 * program dispatches. Commands to it are mails (`commands`); what it tells are items of the inbox.
 */
#include "embed/embed.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/thread.h"
#include "engine/check.h"
#include "engine/config_load.h"
#include "engine/home.h"

typedef struct embed_setting {
    leat_list link;
    char *key;
    char *value;
} embed_setting;

enum command { RELOAD, STOP };

struct command_mail {
    leat_mail mail;
    enum command command;
};

/* on_ready and on_stopped */
struct news {
    inbox_item item;
    leat_server *server;
    bool failed;
    leat_error error;
    char address[64];
};

static void *run_engine(void *arg);
static void *run_callbacks(void *arg);

/* --- errors and rules --- */

int embed_fail(leat_error *error, const char *code, const char *format, ...)
{
    if (error == NULL)
        return -1;
    *error = (leat_error){.retry_after_ms = 0};
    snprintf(error->code, sizeof(error->code), "%s", code);
    va_list args;
    va_start(args, format);
    vsnprintf(error->message, sizeof(error->message), format, args);
    va_end(args);
    return -1;
}

void embed_tell(leat_error *error, const leat_failure *failure)
{
    leat_slice text = failure->message;
    if (text.len == 0)
        text = leat_slice_of(leat_code_sentence(failure->code));
    embed_fail(error, leat_code_name(failure->code), "%.*s", (int)text.len, text.at);
    error->retry_after_ms = failure->retry_after_ms;
}

void embed_check(bool kept, const char *function, const char *rule)
{
    if (kept)
        return;
    fprintf(stderr, "leat: %s: %s\n", function, rule);
    abort();
}

static void check_before_start(const leat_server *s, const char *function)
{
    embed_check(!s->started, function, "only before leat_start");
}

static bool is_here(pthread_t thread)
{
    return pthread_equal(thread, pthread_self()) != 0;
}

const char *leat_version(void)
{
    return LEAT_VERSION;
}

/* --- before the start --- */

leat_server *leat_server_new(void)
{
    leat_server *s = leat_calloc(1, sizeof(*s));
    int err = inbox_open(&s->inbox);
    if (err < 0) {
        free(s);
        return NULL;
    }
    int failed = pthread_mutex_init(&s->lock, NULL);
    LEAT_ASSERT(failed == 0);
    s->box.inbox = &s->inbox;
    leat_list_init(&s->settings);
    leat_list_init(&s->handlers);
    leat_list_init(&s->requests);
    return s;
}

static void replace(char **text, const char *value)
{
    free(*text);
    *text = leat_strdup(value);
}

int leat_set(leat_server *s, const char *key, const char *value, leat_error *error)
{
    check_before_start(s, "leat_set");
    if (strcmp(key, "home") == 0) {
        replace(&s->home, value);
    } else if (strcmp(key, "app_source") == 0) {
        replace(&s->app_source, value);
    } else if (leat_config_find_key(key) == NULL) {
        return embed_fail(error, "config", "unknown key %s: docs/operations.md lists them", key);
    } else {
        embed_setting *setting = leat_calloc(1, sizeof(*setting));
        setting->key = leat_strdup(key);
        setting->value = leat_strdup(value);
        leat_list_push(&s->settings, &setting->link);
    }
    return 0;
}

int leat_set_file(leat_server *s, const char *path, leat_error *error)
{
    (void)error;
    check_before_start(s, "leat_set_file");
    replace(&s->file, path);
    return 0;
}

void leat_use_own_thread(leat_server *s)
{
    check_before_start(s, "leat_use_own_thread");
    s->own_thread = true;
}

void leat_on_log(leat_server *s, leat_log_fn on_log, void *arg)
{
    check_before_start(s, "leat_on_log");
    s->box.on_log = on_log;
    s->box.arg = arg;
}

void leat_on_ready(leat_server *s, leat_ready_fn on_ready, void *arg)
{
    check_before_start(s, "leat_on_ready");
    s->on_ready = on_ready;
    s->on_ready_arg = arg;
}

/* --- the start --- */

static size_t count_settings(const leat_server *s)
{
    size_t n = 0;
    for (const leat_list *l = s->settings.next; l != &s->settings; l = l->next)
        n++;
    return n;
}

static int read_config(leat_server *s, const char *home, leat_buf *error)
{
    leat_config_setting *settings = leat_calloc(count_settings(s) + 1, sizeof(*settings));
    size_t n = 0;
    for (leat_list *l = s->settings.next; l != &s->settings; l = l->next) {
        const embed_setting *setting = LEAT_CONTAINER_OF(l, embed_setting, link);
        settings[n++] = (leat_config_setting){setting->key, setting->value};
    }
    int err = leat_config_load(&s->config,
                               &(leat_config_sources){
                                   .home = home,
                                   .file = s->file,
                                   .embedded = true,
                                   .settings = settings,
                                   .n_settings = n,
                                   .app_source = s->app_source,
                               },
                               error);
    free(settings);
    return err < 0 ? err : leat_config_check_files(&s->config, error);
}

static void free_config(leat_server *s)
{
    if (s->config.lua_dir != NULL)
        leat_config_free(&s->config);
}

static int load_config(leat_server *s, leat_error *error)
{
    leat_buf text = LEAT_BUF_INIT;
    char *home = s->home == NULL ? NULL : leat_strdup(s->home);
    int err = home == NULL ? leat_home_find(&home, &text) : 0;
    if (err == 0)
        err = read_config(s, home, &text);
    if (err < 0)
        embed_fail(error, "config", "%.*s", (int)text.len, text.at);
    if (err < 0)
        free_config(s);
    free(home);
    leat_buf_close(&text);
    return err < 0 ? -1 : 0;
}

static void open_workers(leat_server *s)
{
    s->workers = leat_calloc(s->config.workers, sizeof(*s->workers));
    for (size_t i = 0; i < s->config.workers; i++) {
        s->workers[i].server = s;
        leat_list_init(&s->workers[i].subs);
        leat_map_init(&s->workers[i].calls);
    }
}

static void set_phase(leat_server *s, embed_phase phase)
{
    pthread_mutex_lock(&s->lock);
    s->phase = phase;
    pthread_mutex_unlock(&s->lock);
}

int leat_start(leat_server *s, leat_error *error)
{
    check_before_start(s, "leat_start");
    if (load_config(s, error) < 0)
        return -1;
    s->log = log_box_open(&s->box, s->config.level);
    open_workers(s);
    s->host_thread = pthread_self();
    s->started = true;
    set_phase(s, EMBED_STARTING);
    if (leat_thread_start(&s->engine_thread, NULL, run_engine, s) < 0) {
        s->started = false;
        set_phase(s, EMBED_NEW);
        return embed_fail(error, "start", "no thread can be started");
    }
    if (s->own_thread) {
        int err = leat_thread_start(&s->callback_thread, NULL, run_callbacks, s);
        LEAT_ASSERT(err == 0); /* one could be started a moment ago */
    }
    return 0;
}

/* --- on the program's side --- */

int leat_fd(const leat_server *s)
{
    return s->own_thread ? -1 : s->inbox.fd;
}

int leat_dispatch(leat_server *s, int timeout_ms)
{
    embed_check(!s->own_thread, "leat_dispatch", "not with leat_use_own_thread");
    embed_check(!s->started || is_here(s->host_thread), "leat_dispatch",
                "only on the thread that called leat_start");
    embed_check(!s->dispatching, "leat_dispatch", "not from a callback");
    s->dispatching = true;
    int n = inbox_run(&s->inbox, timeout_ms);
    s->dispatching = false;
    return n;
}

static void *run_callbacks(void *arg)
{
    leat_server *s = arg;
    leat_thread_name("leat-calls");
    while (!atomic_load(&s->closing))
        inbox_run(&s->inbox, -1);
    return NULL;
}

static void drop_news(inbox_item *item)
{
    free(LEAT_CONTAINER_OF(item, struct news, item));
}

static void tell_ready(inbox_item *item)
{
    struct news *n = LEAT_CONTAINER_OF(item, struct news, item);
    leat_server *s = n->server;
    if (s->on_ready != NULL)
        s->on_ready(s->on_ready_arg, n->failed ? "" : n->address, n->failed ? &n->error : NULL);
    free(n);
}

static void tell_stopped(inbox_item *item)
{
    struct news *n = LEAT_CONTAINER_OF(item, struct news, item);
    leat_server *s = n->server;
    pthread_mutex_lock(&s->lock);
    leat_stopped_fn on_stopped = s->on_stopped;
    s->on_stopped = NULL;
    pthread_mutex_unlock(&s->lock);
    free(n);
    if (on_stopped != NULL)
        on_stopped(s->on_stopped_arg);
}

static struct news *new_news(leat_server *s, void (*run)(inbox_item *item))
{
    struct news *n = leat_calloc(1, sizeof(*n));
    n->item = (inbox_item){.run = run, .drop = drop_news};
    n->server = s;
    return n;
}

/* --- commands --- */

/* With the lock. */
static void command(leat_server *s, enum command what)
{
    if (s->commands == NULL)
        return;
    struct command_mail *m = leat_calloc(1, sizeof(*m));
    m->command = what;
    if (!leat_mailbox_post(s->commands, &m->mail))
        free(m);
}

void leat_reload(leat_server *s)
{
    pthread_mutex_lock(&s->lock);
    if (s->phase == EMBED_SERVING)
        command(s, RELOAD);
    pthread_mutex_unlock(&s->lock);
}

/* With the lock. The engine drains at the first command, and ends the drain at the second. */
static void carry_out_wish(leat_server *s)
{
    if (s->phase != EMBED_SERVING && s->phase != EMBED_STOPPING)
        return; /* it is done when the engine has started */
    if (s->wish != EMBED_RUN && s->phase == EMBED_SERVING) {
        s->phase = EMBED_STOPPING;
        command(s, STOP);
    }
    if (s->wish == EMBED_END)
        command(s, STOP);
}

void leat_stop(leat_server *s, leat_stopped_fn on_stopped, void *arg)
{
    pthread_mutex_lock(&s->lock);
    if (on_stopped != NULL) {
        s->on_stopped = on_stopped;
        s->on_stopped_arg = arg;
    }
    if (s->phase == EMBED_OVER)
        inbox_put(&s->inbox, &new_news(s, tell_stopped)->item);
    else if (s->phase != EMBED_NEW) {
        s->wish = s->wish == EMBED_RUN ? EMBED_DRAIN : EMBED_END;
        carry_out_wish(s);
    }
    pthread_mutex_unlock(&s->lock);
}

static void free_settings(leat_server *s)
{
    for (leat_list *l = leat_list_shift(&s->settings); l != NULL;
         l = leat_list_shift(&s->settings)) {
        embed_setting *setting = LEAT_CONTAINER_OF(l, embed_setting, link);
        free(setting->key);
        free(setting->value);
        free(setting);
    }
}

static void end_threads(leat_server *s)
{
    if (!s->started)
        return;
    embed_check(is_here(s->host_thread), "leat_server_free",
                "only on the thread that called leat_start");
    pthread_mutex_lock(&s->lock);
    s->wish = EMBED_END;
    carry_out_wish(s);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->engine_thread, NULL);
    if (!s->own_thread)
        return;
    atomic_store(&s->closing, true);
    inbox_wake(&s->inbox);
    pthread_join(s->callback_thread, NULL);
}

void leat_server_free(leat_server *s)
{
    if (s == NULL)
        return;
    embed_check(!s->dispatching, "leat_server_free", "not from a callback");
    end_threads(s);
    inbox_close(&s->inbox);
    embed_calls_free(s);
    leat_log_free(s->log);
    free_config(s);
    free_settings(s);
    leat_buf_close(&s->scratch);
    pthread_mutex_destroy(&s->lock);
    free(s->workers);
    free(s->file);
    free(s->home);
    free(s->app_source);
    free(s);
}

/* --- to the workers --- */

static int refuse_post(const leat_server *s, leat_error *error)
{
    bool later = s->phase == EMBED_STARTING;
    return embed_fail(error, later ? "unavailable" : "stopped", "%s",
                      later ? "the server has not started yet" : "the server does not run");
}

int embed_post(leat_server *s, size_t worker, leat_worker_job *job, leat_error *error)
{
    pthread_mutex_lock(&s->lock);
    bool posted = s->phase == EMBED_SERVING && leat_worker_do(s->workers[worker].worker, job);
    int err = posted ? 0 : refuse_post(s, error);
    pthread_mutex_unlock(&s->lock);
    return err;
}

bool embed_give_back(leat_server *s, size_t worker, leat_worker_job *job)
{
    pthread_mutex_lock(&s->lock);
    bool posted = s->engine != NULL && leat_worker_do(s->workers[worker].worker, job);
    pthread_mutex_unlock(&s->lock);
    return posted;
}

size_t embed_next_worker(leat_server *s)
{
    return s->config.workers == 0 ? 0 : atomic_fetch_add(&s->next_worker, 1) % s->config.workers;
}

size_t embed_worker_of(const leat_server *s, const char *topic)
{
    size_t sum = 5381;
    for (; *topic != '\0'; topic++)
        sum = sum * 33 + (unsigned char)*topic;
    return s->config.workers == 0 ? 0 : sum % s->config.workers;
}

embed_worker *embed_worker_on(leat_server *s, leat_worker *w)
{
    return &s->workers[leat_worker_index(w)];
}

char *leat_metrics_text(leat_server *s)
{
    leat_buf text = LEAT_BUF_INIT;
    pthread_mutex_lock(&s->lock);
    if (s->engine != NULL)
        leat_engine_render_metrics(s->engine, &text);
    pthread_mutex_unlock(&s->lock);
    return text.len == 0 ? NULL : leat_buf_detach(&text, NULL);
}

/* --- the engine's thread --- */

static void on_command(void *arg, leat_mail *mail)
{
    leat_server *s = arg;
    struct command_mail *m = LEAT_CONTAINER_OF(mail, struct command_mail, mail);
    enum command what = m->command;
    free(m);
    switch (what) {
    case RELOAD:
        leat_engine_reload(s->engine);
        break;
    case STOP:
        leat_engine_drain(s->engine);
        break;
    }
}

static int open_commands(void *arg, leat_engine *e, uv_loop_t *loop)
{
    (void)e;
    leat_server *s = arg;
    return leat_mailbox_new(&s->commands, loop, on_command, s);
}

/* A command that is posted from now on is refused. */
static void close_commands(void *arg)
{
    leat_server *s = arg;
    if (s->commands != NULL)
        leat_mailbox_close(s->commands, NULL, NULL);
}

static void on_stopping(void *arg)
{
    (void)arg;
}

static void on_overdue(void *arg)
{
    (void)arg;
    LEAT_LOG_WARN("server", "draining takes longer than its timeouts");
}

static leat_native *on_worker_opens(void *arg, leat_worker *worker)
{
    embed_worker *w = embed_worker_on(arg, worker);
    w->worker = worker;
    return embed_calls_open(w);
}

static void on_worker_drains(void *arg, leat_worker *worker)
{
    embed_subs_end(embed_worker_on(arg, worker));
}

static int start_engine(leat_server *s, leat_engine *engine, leat_error *error)
{
    leat_buf text = LEAT_BUF_INIT;
    int err = leat_check_start(&s->config, &text);
    if (err == 0)
        err = leat_engine_start(engine, &text);
    if (err < 0)
        embed_fail(error, "start", "%.*s", (int)text.len, text.at);
    leat_buf_close(&text);
    return err;
}

/* The program may use the workers from here on. */
static void begin_to_serve(leat_server *s, leat_engine *engine)
{
    struct news *ready = new_news(s, tell_ready);
    snprintf(ready->address, sizeof(ready->address), "%s", leat_engine_address(engine));
    pthread_mutex_lock(&s->lock);
    s->engine = engine;
    s->phase = EMBED_SERVING;
    inbox_put(&s->inbox, &ready->item);
    carry_out_wish(s);
    pthread_mutex_unlock(&s->lock);
}

static void end_serving(leat_server *s)
{
    pthread_mutex_lock(&s->lock);
    s->engine = NULL;
    s->phase = EMBED_OVER;
    pthread_mutex_unlock(&s->lock);
}

static void *run_engine(void *arg)
{
    leat_server *s = arg;
    struct news *failed = new_news(s, tell_ready);
    leat_thread_name("leat-engine");
    leat_log_bind(s->log);
    s->host = (leat_engine_host){
        .arg = s,
        .open = open_commands,
        .close = close_commands,
        .stopping = on_stopping,
        .overdue = on_overdue,
        .worker_opens = on_worker_opens,
        .worker_drains = on_worker_drains,
    };
    leat_engine *engine = leat_engine_new(&s->config, s->log, &s->host);
    failed->failed = start_engine(s, engine, &failed->error) < 0;
    if (!failed->failed) {
        begin_to_serve(s, engine);
        int err = leat_engine_run(engine);
        LEAT_ASSERT(err == 0); /* nobody forces it */
    }
    end_serving(s);
    leat_engine_free(engine);
    leat_mailbox_free(s->commands);
    pthread_mutex_lock(&s->lock);
    s->commands = NULL;
    if (failed->failed)
        inbox_put(&s->inbox, &failed->item);
    if (s->wish != EMBED_RUN)
        inbox_put(&s->inbox, &new_news(s, tell_stopped)->item);
    pthread_mutex_unlock(&s->lock);
    if (!failed->failed)
        free(failed);
    leat_log_bind(NULL);
    return NULL;
}
