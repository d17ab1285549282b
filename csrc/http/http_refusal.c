#include "http/http_refusal.h"

#include "wire/http.h"

int leat_http_refusal_connect_status(leat_code code)
{
    switch (code) {
    case LEAT_CODE_LIMIT:
    case LEAT_CODE_RATE_LIMITED:
    case LEAT_CODE_DEADLINE_EXCEEDED:
    case LEAT_CODE_UNAVAILABLE:
    case LEAT_CODE_INTERNAL:
    case LEAT_CODE_COUNT:
        return leat_http_status_of(code);
    case LEAT_CODE_OK:
    case LEAT_CODE_BAD_REQUEST:
    case LEAT_CODE_UNAUTHENTICATED:
    case LEAT_CODE_FORBIDDEN:
    case LEAT_CODE_REVOKED:
    case LEAT_CODE_NOT_FOUND:
    case LEAT_CODE_ALREADY_SUBSCRIBED:
    case LEAT_CODE_TOO_LARGE:
        return 401;
    }
    return 500;
}

leat_metric leat_http_refusal_metric(leat_code code)
{
    switch (code) {
    case LEAT_CODE_DEADLINE_EXCEEDED:
        return LEAT_M_HANDSHAKES_DEADLINE;
    case LEAT_CODE_UNAVAILABLE:
        return LEAT_M_HANDSHAKES_UNAVAILABLE;
    case LEAT_CODE_INTERNAL:
    case LEAT_CODE_COUNT:
        return LEAT_M_HANDSHAKES_INTERNAL;
    case LEAT_CODE_OK:
    case LEAT_CODE_BAD_REQUEST:
    case LEAT_CODE_UNAUTHENTICATED:
    case LEAT_CODE_FORBIDDEN:
    case LEAT_CODE_REVOKED:
    case LEAT_CODE_NOT_FOUND:
    case LEAT_CODE_ALREADY_SUBSCRIBED:
    case LEAT_CODE_LIMIT:
    case LEAT_CODE_RATE_LIMITED:
    case LEAT_CODE_TOO_LARGE:
        return LEAT_M_HANDSHAKES_REFUSED;
    }
    return LEAT_M_HANDSHAKES_REFUSED;
}
