/* subscribe.c - a subscription begins only if the subscriber may have it. */
#include "core/subscribe.h"

#include "core/admission.h"

static bool refuse(leat_failure *why, leat_code code, const char *sentence)
{
    *why = (leat_failure){.code = code, .message = leat_slice_of(sentence)};
    return false;
}

static bool check(const leat_subscriber *to, const leat_sub_request *request, leat_failure *why)
{
    leat_core *core = to->core;
    if (leat_sub_find(to, request->topic) != NULL)
        return refuse(why, LEAT_CODE_ALREADY_SUBSCRIBED,
                      "this connection is subscribed to the topic already");
    if (to->params_bytes + request->params.len > core->limits->max_message_bytes)
        return refuse(why, LEAT_CODE_LIMIT, "too many bytes of params on this connection");
    if (core->draining) {
        (void)refuse(why, LEAT_CODE_UNAVAILABLE, "the server is shutting down");
        why->retry_after_ms = leat_admission_retry_ms(core);
        return false;
    }
    return leat_admission_subscribe(to, request->deadline_ms, why);
}

leat_code leat_subscribe_begin(leat_subscriber *to, const leat_sub_request *request,
                               leat_failure *why)
{
    bool by_client = request->done == NULL;
    if (!check(to, request, why) || (by_client && !leat_admission_charge_subscribe(to, why)))
        return why->code;
    leat_sub_begin(to, request);
    return LEAT_CODE_OK;
}
