/* client_renewal.c - client_renewal_begin -> the topic's handler -> client_renewal_granted or
 * _ended, or on_late -> the answer. */
#include "core/client_renewal.h"

#include <stdlib.h>

#include "base/container_of.h"
#include "base/mem.h"
#include "core/admission.h"
#include "core/client_send.h"
#include "core/sub.h"

typedef struct client_renewal {
    leat_list link; /* in client_foreign's renewals */
    leat_deadline timer;
    leat_client *client;
    leat_slice id; /* of the copies below */
    leat_slice topic;
    char text[];
} client_renewal;

static const leat_slice none = {NULL, 0};

static client_renewal *find(leat_client *c, leat_slice topic)
{
    leat_list *all = client_foreign_renewals(c->foreign);
    for (leat_list *l = all->next; l != all; l = l->next) {
        client_renewal *r = LEAT_CONTAINER_OF(l, client_renewal, link);
        if (leat_slice_equal(r->topic, topic))
            return r;
    }
    return NULL;
}

static void on_late(leat_deadline *d);

static client_renewal *make(leat_client *c, const leat_message *m)
{
    client_renewal *r = leat_calloc(1, sizeof(*r) + m->id.len + m->topic.len);
    memcpy(r->text, m->id.at, m->id.len);
    memcpy(r->text + m->id.len, m->topic.at, m->topic.len);
    r->client = c;
    r->id = (leat_slice){r->text, m->id.len};
    r->topic = (leat_slice){r->text + m->id.len, m->topic.len};
    leat_deadline_init(&r->timer);
    return r;
}

static void end(client_renewal *r)
{
    leat_list_unlink(&r->link);
    leat_deadline_cancel(&r->timer);
    free(r);
}

static void refuse(leat_client *c, leat_slice id, leat_code code, const char *sentence)
{
    leat_failure why = {.code = code, .message = leat_slice_of(sentence)};
    client_send_error(&c->base, id, none, &why);
}

/* Returns true if there is a subscription that may be renewed now. Otherwise the request is
 * answered. */
static bool may_begin(leat_client *c, const leat_message *m, const leat_sub *s,
                      uint64_t deadline_ms)
{
    leat_failure full;
    if (s == NULL || leat_sub_is_asked(s)) {
        refuse(c, m->id, LEAT_CODE_FORBIDDEN, "not subscribed to this topic");
        return false;
    }
    if (find(c, m->topic) != NULL) {
        refuse(c, m->id, LEAT_CODE_UNAVAILABLE, "this topic is being renewed already");
        return false;
    }
    if (!leat_admission_request(c->base.core, deadline_ms, &full)) {
        client_send_error(&c->base, m->id, none, &full);
        return false;
    }
    return true;
}

static void await_decision(leat_client *c, const leat_message *m, uint64_t deadline_ms)
{
    client_renewal *r = make(c, m);
    leat_list_push(client_foreign_renewals(c->foreign), &r->link);
    leat_loop_at(c->base.core->loop, &r->timer, deadline_ms, on_late);
    c->base.n_inflight++;
}

void client_renewal_begin(leat_client *c, const leat_message *m, uint64_t deadline_ms)
{
    leat_sub *s = leat_sub_find(&c->base, m->topic);
    leat_buf scratch = LEAT_BUF_INIT;
    if (!may_begin(c, m, s, deadline_ms))
        return;
    leat_slice params = c->base.codec->with_token(leat_sub_params(s), m->token, &scratch);
    if (params.at == NULL)
        refuse(c, m->id, LEAT_CODE_BAD_REQUEST, "this subscription was made without a token");
    else if (!leat_sub_renew(s, params)) /* the handler decides in a later turn */
        refuse(c, m->id, LEAT_CODE_LIMIT, "too many bytes of params on this connection");
    else
        await_decision(c, m, deadline_ms);
    leat_buf_close(&scratch);
}

void client_renewal_granted(leat_client *c, leat_slice topic, int64_t until_s)
{
    client_renewal *r = find(c, topic);
    if (r == NULL)
        return;
    client_send_renewed(&c->base, r->id, until_s == 0 ? 0 : client_seconds_until(until_s));
    end(r);
    client_answered(c);
}

/* `unavailable` is an error that passes. An SDK that got another one would end the subscription,
 * which the client may have made anew already. */
void client_renewal_ended(leat_client *c, leat_slice topic)
{
    client_renewal *r = find(c, topic);
    if (r == NULL)
        return;
    refuse(c, r->id, LEAT_CODE_UNAVAILABLE, "the subscription has ended");
    end(r);
    client_answered(c);
}

static void on_late(leat_deadline *d)
{
    client_renewal *r = LEAT_CONTAINER_OF(d, client_renewal, timer);
    leat_client *c = r->client;
    refuse(c, r->id, LEAT_CODE_DEADLINE_EXCEEDED, "");
    end(r);
    client_answered(c);
}

void client_renewal_cancel_all(leat_list *requests)
{
    while (!leat_list_empty(requests))
        end(LEAT_CONTAINER_OF(leat_list_take(requests), client_renewal, link));
}
