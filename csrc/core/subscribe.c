#include "core/subscribe.h"

static leat_code check(const leat_subscriber *to, const leat_sub_request *request, const char **why)
{
    const leat_limits *limits = to->core->limits;
    *why = NULL;
    if (leat_map_get(&to->subs, request->topic) != NULL) {
        *why = "this connection is subscribed to the topic already";
        return LEAT_CODE_ALREADY_SUBSCRIBED;
    }
    if (to->subs.count >= limits->max_subscriptions) {
        *why = "too many subscriptions on this connection";
        return LEAT_CODE_LIMIT;
    }
    if (to->params_bytes + request->params.len > limits->max_message_bytes) {
        *why = "too many bytes of params on this connection";
        return LEAT_CODE_LIMIT;
    }
    if (to->core->draining) {
        *why = "the server is shutting down";
        return LEAT_CODE_UNAVAILABLE;
    }
    return LEAT_CODE_OK;
}

leat_code leat_subscribe(leat_subscriber *to, const leat_sub_request *request, const char **why)
{
    leat_code code = check(to, request, why);
    if (code == LEAT_CODE_OK)
        leat_sub_new(to, request);
    return code;
}

void leat_subscribe_forget(leat_subscriber *to, void *done_arg)
{
    for (leat_map_entry *e = leat_map_next(&to->subs, NULL); e != NULL;
         e = leat_map_next(&to->subs, e))
        leat_sub_forget(LEAT_CONTAINER_OF(e, leat_sub, entry), done_arg);
}
