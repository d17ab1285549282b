/* client_end.c - ends what the client has, then its connection. */
#include "core/client_end.h"

#include "core/client_history.h"
#include "core/client_renewal.h"
#include "core/client_request.h"
#include "core/sub.h"
#include "wire/close_code.h"

void client_end(leat_client *c)
{
    client_set_status(c, CLIENT_CLOSED); /* first: what ends now begins nothing new */
    leat_sub_close_all(&c->base);
    client_request_abandon_all(c);
    if (c->foreign != NULL) {
        client_history_cancel_all(client_foreign_histories(c->foreign));
        client_renewal_cancel_all(client_foreign_renewals(c->foreign));
    }
    client_foreign_free(c->foreign);
    c->foreign = NULL;
    client_cancel_timer(c);
}

void client_close(leat_client *c, int code, const char *reason)
{
    if (c->status == CLIENT_CLOSED)
        return;
    client_end(c);
    leat_peer_close(c->peer, c->base.codec->close_code(code), reason);
}

int client_close_code(leat_code code)
{
    switch (code) {
    case LEAT_CODE_DEADLINE_EXCEEDED:
        return LEAT_CLOSE_DEADLINE;
    case LEAT_CODE_UNAUTHENTICATED:
        return LEAT_CLOSE_IDENTITY;
    case LEAT_CODE_UNAVAILABLE:
        return LEAT_CLOSE_TRY_LATER;
    case LEAT_CODE_INTERNAL:
        return LEAT_CLOSE_INTERNAL;
    case LEAT_CODE_LIMIT:
    case LEAT_CODE_RATE_LIMITED:
        return LEAT_CLOSE_TOO_MANY;
    case LEAT_CODE_OK:
    case LEAT_CODE_BAD_REQUEST:
    case LEAT_CODE_FORBIDDEN:
    case LEAT_CODE_NOT_FOUND:
    case LEAT_CODE_ALREADY_SUBSCRIBED:
    case LEAT_CODE_TOO_LARGE:
    case LEAT_CODE_REVOKED:
    case LEAT_CODE_COUNT:
        break;
    }
    return LEAT_CLOSE_NORMAL;
}

void client_end_stream(leat_client *c, leat_code code)
{
    client_close(c, client_close_code(code), leat_code_name(code));
}
