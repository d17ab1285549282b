/* subscribe.c - a subscription begins only if the subscriber may have it. */
#include "core/subscribe.h"

static leat_code check(const leat_subscriber *to, const leat_sub_request *request, const char **why)
{
    const leat_limits *limits = to->core->limits;
    *why = NULL;
    if (leat_sub_find(to, request->topic) != NULL) {
        *why = "this connection is subscribed to the topic already";
        return LEAT_CODE_ALREADY_SUBSCRIBED;
    }
    if (to->subs.count >= limits->allowance.max_subscriptions) {
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
        leat_sub_begin(to, request);
    return code;
}
