/* client_plan.c - client_plan_welcome -> on_planned, once for each -> let_in. */
#include "core/client_plan.h"

#include "base/log.h"
#include "core/client_foreign.h"
#include "core/client_identity.h"
#include "core/client_send.h"
#include "core/client_welcome.h"
#include "core/subscribe.h"

static void on_planned(void *arg, const leat_failure *failure);

static void log_refused(leat_slice name, leat_code code)
{
    char topic[160];
    LEAT_LOG_INFO("client", "not subscribed topic=%s code=%s",
                  leat_log_quote(topic, sizeof(topic), name.at, name.len), leat_code_name(code));
}

/* Returns true if `done` will be called. */
static bool begin(leat_client *c, const leat_planned *p, leat_named_position since,
                  uint64_t deadline_ms, leat_subscribed_cb done)
{
    leat_failure why;
    leat_sub_request request = {
        .topic = p->topic,
        .params = p->params,
        .since = since,
        .deadline_ms = deadline_ms,
        .done = done,
        .done_arg = c,
    };
    leat_code code = leat_subscribe_begin(&c->base, &request, &why);
    if (code != LEAT_CODE_OK)
        log_refused(p->topic, code);
    return code == LEAT_CODE_OK;
}

/* The end of a subscription is logged where it ends. */
static void on_followed(void *arg, const leat_failure *failure)
{
    (void)arg, (void)failure;
}

void client_plan_follow(leat_client *c)
{
    leat_core *core = c->base.core;
    uint64_t deadline_ms = leat_loop_now(core->loop) + core->limits->control_timeout_ms;
    for (const leat_planned *p = leat_session_plan(c->base.session); p != NULL; p = p->next)
        if (leat_sub_find(&c->base, p->topic) == NULL)
            (void)begin(c, p, (leat_named_position){.seq = 0}, deadline_ms, on_followed);
}

static leat_named_position known_position(const leat_client *c, leat_slice topic, leat_buf *scratch)
{
    const client_welcome *w = *client_foreign_welcome(c->foreign);
    leat_named_position since = {.seq = 0};
    scratch->len = 0;
    if (c->base.codec->find_known != NULL)
        (void)c->base.codec->find_known(leat_buf_view(&w->known), topic, &since, scratch);
    return since;
}

static void let_in(leat_client *c)
{
    client_welcome **slot = client_foreign_welcome(c->foreign);
    client_welcome *w = *slot;
    leat_buf subs = LEAT_BUF_INIT;
    *slot = NULL; /* what begins from here on is a push */
    client_welcome_join(w, &subs);
    client_identity_accept(c);
    client_send_welcome(&c->base, leat_buf_view(&w->id), (leat_slice){NULL, 0},
                        leat_buf_view(&subs));
    leat_buf_close(&subs);
    client_welcome_free(w);
    leat_sub_move_all(&c->base);
    client_update_flow(c);
}

void client_plan_welcome(leat_client *c)
{
    client_welcome *w = *client_foreign_welcome(c->foreign);
    leat_buf scratch = LEAT_BUF_INIT;
    for (const leat_planned *p = leat_session_plan(c->base.session); p != NULL; p = p->next)
        if (leat_sub_find(&c->base, p->topic) == NULL &&
            begin(c, p, known_position(c, p->topic, &scratch), w->deadline_ms, on_planned))
            w->n_open++;
    leat_buf_close(&scratch);
    if (w->n_open == 0)
        let_in(c);
}

static void on_planned(void *arg, const leat_failure *failure)
{
    leat_client *c = arg;
    (void)failure;
    if (--(*client_foreign_welcome(c->foreign))->n_open == 0)
        let_in(c);
}
