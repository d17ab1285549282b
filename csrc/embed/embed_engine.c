/* embed_engine.c - the engine's thread: embed_engine_run -> on_ready ... a command STOP -> the
 * engine drains and ends -> on_stopped.
 *
 * The engine has a loop and a thread of its own, so that it does not depend on how often the
 * program dispatches. Commands to it are mails (`commands`); what it tells are items of the inbox.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/thread.h"
#include "embed/embed.h"
#include "engine/check.h"

enum command { RELOAD, STOP };

struct command_mail {
    leat_mail mail;
    enum command command;
};

/* on_ready */
struct news {
    inbox_item item;
    leat_server *server;
    bool failed;
    leat_error error;
    char address[64];
};

/* --- what the program is told --- */

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

static struct news *new_news(leat_server *s)
{
    struct news *n = leat_calloc(1, sizeof(*n));
    n->item = (inbox_item){.run = tell_ready, .drop = drop_news};
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

/* The engine drains at the first command, and ends the drain at the second. */
void embed_engine_obey(leat_server *s)
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
        leat_engine_reload(s->engine, NULL);
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

/* The second time, the program waits for nothing. */
static void on_worker_drains(void *arg, leat_worker *worker)
{
    embed_worker *w = embed_worker_on(arg, worker);
    embed_subs_end(w);
    if (w->drains)
        embed_calls_end(w);
    w->drains = true;
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

/* The program may use the workers from here on. What has come for it waits for on_ready. */
static void begin_to_serve(leat_server *s, leat_engine *engine)
{
    struct news *ready = new_news(s);
    snprintf(ready->address, sizeof(ready->address), "%s", leat_engine_address(engine));
    pthread_mutex_lock(&s->lock);
    s->engine = engine;
    s->phase = EMBED_SERVING;
    inbox_put(&s->inbox, &ready->item);
    embed_calls_begin(s);
    embed_engine_obey(s);
    pthread_mutex_unlock(&s->lock);
}

static void serve(leat_server *s, leat_engine *engine)
{
    begin_to_serve(s, engine);
    int err = leat_engine_run(engine);
    LEAT_ASSERT(err == 0); /* nobody forces it */
    embed_post_end(s);
}

static void end_engine(leat_server *s, leat_engine *engine)
{
    pthread_mutex_lock(&s->lock);
    leat_mailbox *commands = s->commands;
    s->commands = NULL;
    pthread_mutex_unlock(&s->lock);
    leat_engine_free(engine);
    leat_mailbox_free(commands);
}

/* The last items. failed: the start's, or NULL. */
static void tell_end(leat_server *s, struct news *failed)
{
    pthread_mutex_lock(&s->lock);
    s->phase = EMBED_OVER;
    if (failed != NULL)
        inbox_put(&s->inbox, &failed->item);
    for (leat_list *l = leat_list_shift(&s->stops); l != NULL; l = leat_list_shift(&s->stops))
        inbox_put(&s->inbox, &LEAT_CONTAINER_OF(l, embed_stop, link)->item);
    pthread_mutex_unlock(&s->lock);
}

void *embed_engine_run(void *arg)
{
    leat_server *s = arg;
    struct news *failed = new_news(s);
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
        free(failed);
        failed = NULL;
        serve(s, engine);
    }
    end_engine(s, engine);
    tell_end(s, failed);
    leat_log_bind(NULL);
    return NULL;
}
