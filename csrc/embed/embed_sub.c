/* embed_sub.c - the program subscribes: leat_subscribe checks what it is given, and posts the job
 * that begins the subscription on a worker. */
#include "embed/embed_sub.h"

#include "base/mem.h"
#include "wire/json.h"
#include "wire/leat_v1.h"

enum { USUAL_WINDOW = 262144 };

/* Writes the text of user.id. Returns false if user is no JSON object. */
static bool read_user_id(leat_slice user, leat_buf *id, bool *has_id)
{
    leat_json_reader r;
    leat_json_token token;
    leat_slice raw;
    leat_buf scratch = LEAT_BUF_INIT;
    leat_json_reader_init(&r, user, &scratch, LEAT_JSON_MAX_DEPTH);
    bool good = leat_json_next(&r, &token) == 0 && token == LEAT_JSON_OBJECT_BEGIN;
    while (good && leat_json_next(&r, &token) == 0 && token == LEAT_JSON_KEY) {
        bool is_id = leat_slice_is(r.text, "id");
        if (!is_id) {
            good = leat_json_skip(&r, &raw) == 0;
            continue;
        }
        good = leat_json_next(&r, &token) == 0;
        *has_id = token == LEAT_JSON_STRING || token == LEAT_JSON_NUMBER;
        good = good && *has_id;
        id->len = 0; /* of two with that name, the last counts */
        if (good)
            leat_buf_slice(id, r.text);
    }
    leat_buf_close(&scratch);
    return good && leat_json_validate(user, LEAT_JSON_MAX_DEPTH) == 0;
}

static bool is_json(const char *text)
{
    return text == NULL || leat_json_validate(leat_slice_of(text), LEAT_JSON_MAX_DEPTH) == 0;
}

static int check(const leat_subscribe_options *o, const leat_subscriber_callbacks *callbacks,
                 leat_buf *id, bool *has_id, leat_error *error)
{
    if (o == NULL || callbacks == NULL)
        return embed_fail(error, "usage", "expected options and callbacks");
    if (o->size != sizeof(*o) || callbacks->size != sizeof(*callbacks))
        return embed_fail(error, "usage", "size: expected the sizeof of this leat.h");
    if (callbacks->closed == NULL)
        return embed_fail(error, "usage", "closed: expected a function");
    if (o->topic == NULL || !leat_v1_topic_ok(leat_slice_of(o->topic)))
        return embed_fail(error, "bad_request", "malformed topic");
    if (!is_json(o->params))
        return embed_fail(error, "bad_request", "params is not JSON");
    if (o->user != NULL && !read_user_id(leat_slice_of(o->user), id, has_id))
        return embed_fail(error, "bad_request",
                          "user is not a JSON object whose id is a string or a number");
    return 0;
}

static leat_subscription *new_sub(leat_server *s, const leat_subscribe_options *o,
                                  const leat_subscriber_callbacks *callbacks, void *arg)
{
    leat_subscription *sub = leat_calloc(1, sizeof(*sub));
    sub->base.ops = embed_sub_ops();
    leat_map_init(&sub->base.subs);
    leat_list_init(&sub->link);
    leat_deadline_init(&sub->expiry);
    leat_list_init(&sub->held);
    sub->server = s;
    sub->window = o->window_bytes == 0 ? USUAL_WINDOW : o->window_bytes;
    sub->callbacks = *callbacks;
    sub->arg = arg;
    return sub;
}

leat_subscription *leat_subscribe(leat_server *s, const leat_subscribe_options *options,
                                  const leat_subscriber_callbacks *callbacks, void *arg,
                                  leat_error *error)
{
    leat_buf id = LEAT_BUF_INIT;
    bool has_id = false;
    if (check(options, callbacks, &id, &has_id, error) < 0) {
        leat_buf_close(&id);
        return NULL;
    }
    leat_subscription *sub = new_sub(s, options, callbacks, arg);
    leat_worker_job *job =
        embed_sub_new_beginning(sub, options, has_id ? leat_buf_view(&id) : (leat_slice){NULL, 0});
    leat_buf_close(&id);
    if (embed_post(s, embed_next_number(s), &sub->worker, job, error) == 0)
        return sub;
    embed_sub_free_beginning(job);
    embed_sub_free(sub);
    return NULL;
}

void leat_unsubscribe(leat_subscription *sub)
{
    if (!atomic_exchange(&sub->unsubscribed, true))
        embed_sub_ask_end(sub);
}
