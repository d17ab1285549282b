/* embed.c - the life of a server in a program: leat_server_new, leat_start, leat_dispatch ...
 * leat_stop, leat_server_free. The engine's side of it is in embed_engine.c. */
#include "embed/embed.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/thread.h"
#include "base/utf8.h"
#include "wire/crypto.h"

/* --- errors and rules --- */

/* A message that was cut ends with a whole character: it may go on to a client. */
static void end_at_character(char *text, size_t len)
{
    for (size_t cut = 0; cut < 4 && cut <= len; cut++) {
        if (leat_utf8_valid(text, len - cut)) {
            text[len - cut] = '\0';
            return;
        }
    }
}

int embed_fail(leat_error *error, const char *code, const char *format, ...)
{
    if (error == NULL)
        return -1;
    *error = (leat_error){.retry_after_ms = 0};
    snprintf(error->code, sizeof(error->code), "%s", code);
    va_list args;
    va_start(args, format);
    int len = vsnprintf(error->message, sizeof(error->message), format, args);
    va_end(args);
    if (len >= (int)sizeof(error->message))
        end_at_character(error->message, sizeof(error->message) - 1);
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

bool embed_on_callback_thread(const leat_server *s)
{
    return is_here(s->calls_on);
}

const char *leat_version(void)
{
    return LEAT_VERSION;
}

/* --- before the start --- */

leat_server *leat_server_new(void)
{
    leat_server *s = leat_calloc(1, sizeof(*s));
    leat_crypto_outlive_exit(); /* the program may call exit() while the threads run */
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
    leat_list_init(&s->stops);
    leat_list_init(&s->late);
    leat_list_init(&s->requests);
    return s;
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

static void *run_callbacks(void *arg)
{
    leat_server *s = arg;
    leat_thread_name("leat-calls");
    s->calls_on = pthread_self();
    while (!inbox_is_shut(&s->inbox))
        inbox_run(&s->inbox, -1);
    return NULL;
}

static void end_callbacks(leat_server *s)
{
    inbox_shut(&s->inbox);
    if (s->own_thread)
        pthread_join(s->callback_thread, NULL);
}

static int start_threads(leat_server *s)
{
    s->calls_on = s->host_thread;
    if (s->own_thread && leat_thread_start(&s->callback_thread, NULL, run_callbacks, s) != 0)
        return -1;
    if (leat_thread_start(&s->engine_thread, NULL, embed_engine_run, s) == 0)
        return 0;
    end_callbacks(s);
    inbox_reopen(&s->inbox);
    return -1;
}

static void undo_start(leat_server *s)
{
    s->started = false;
    set_phase(s, EMBED_NEW);
    leat_log_free(s->log);
    s->log = NULL;
    free(s->workers);
    s->workers = NULL;
}

int leat_start(leat_server *s, leat_error *error)
{
    check_before_start(s, "leat_start");
    if (embed_config_load(s, error) < 0)
        return -1;
    s->log = log_box_open(&s->box, &s->config.levels);
    open_workers(s);
    s->host_thread = pthread_self();
    s->started = true;
    set_phase(s, EMBED_STARTING);
    if (start_threads(s) == 0)
        return 0;
    undo_start(s);
    return embed_fail(error, "start", "no thread can be started");
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

/* --- the end --- */

static void drop_stop(inbox_item *item)
{
    free(LEAT_CONTAINER_OF(item, embed_stop, item));
}

static void tell_stopped(inbox_item *item)
{
    embed_stop stop = *LEAT_CONTAINER_OF(item, embed_stop, item);
    drop_stop(item);
    stop.fn(stop.arg);
}

/* With the lock. */
static void await_end(leat_server *s, leat_stopped_fn on_stopped, void *arg)
{
    embed_stop *stop = leat_calloc(1, sizeof(*stop));
    stop->item = (inbox_item){.run = tell_stopped, .drop = drop_stop};
    stop->fn = on_stopped;
    stop->arg = arg;
    if (s->phase == EMBED_OVER)
        inbox_put(&s->inbox, &stop->item);
    else
        leat_list_push(&s->stops, &stop->link);
}

void leat_stop(leat_server *s, leat_stopped_fn on_stopped, void *arg)
{
    pthread_mutex_lock(&s->lock);
    if (s->phase != EMBED_NEW) {
        if (on_stopped != NULL)
            await_end(s, on_stopped, arg);
        s->wish = s->wish == EMBED_RUN ? EMBED_DRAIN : EMBED_END;
        embed_engine_obey(s);
    }
    pthread_mutex_unlock(&s->lock);
}

static void end_threads(leat_server *s)
{
    if (!s->started)
        return;
    embed_check(is_here(s->host_thread), "leat_server_free",
                "only on the thread that called leat_start");
    end_callbacks(s);
    pthread_mutex_lock(&s->lock);
    s->wish = EMBED_END;
    embed_engine_obey(s);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->engine_thread, NULL);
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
    embed_config_free(s);
    leat_buf_close(&s->scratch);
    pthread_mutex_destroy(&s->lock);
    free(s->workers);
    free(s);
}
