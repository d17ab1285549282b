/* Responses. */
#include "wire/http.h"

#include <time.h>

int leat_http_status_of(leat_code code)
{
    switch (code) {
    case LEAT_CODE_OK:
        return 200;
    case LEAT_CODE_BAD_REQUEST:
        return 400;
    case LEAT_CODE_UNAUTHENTICATED:
        return 401;
    case LEAT_CODE_FORBIDDEN:
    case LEAT_CODE_REVOKED:
        return 403;
    case LEAT_CODE_NOT_FOUND:
        return 404;
    case LEAT_CODE_ALREADY_SUBSCRIBED:
        return 409;
    case LEAT_CODE_LIMIT:
    case LEAT_CODE_RATE_LIMITED:
        return 429;
    case LEAT_CODE_DEADLINE_EXCEEDED:
    case LEAT_CODE_UNAVAILABLE:
        return 503;
    case LEAT_CODE_TOO_LARGE:
        return 413;
    case LEAT_CODE_INTERNAL:
    case LEAT_CODE_COUNT:
        return 500;
    }
    return 500;
}

const char *leat_http_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {100, "Continue"},
        {101, "Switching Protocols"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {205, "Reset Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {402, "Payment Required"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {418, "I'm a teapot"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {426, "Upgrade Required"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {451, "Unavailable For Legal Reasons"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown";
}

/* IMF-fixdate (RFC 9110 §5.6.7). Not by strftime: the names must not follow the host's locale. */
void leat_http_write_date(leat_buf *out, int64_t unix_seconds)
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)unix_seconds;
    struct tm t;
    if (gmtime_r(&seconds, &t) == NULL) { /* a year that does not fit an int */
        seconds = 0;
        gmtime_r(&seconds, &t);
    }
    leat_buf_printf(out, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[t.tm_wday], t.tm_mday,
                    months[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

void leat_http_write_status(leat_buf *out, int status)
{
    leat_buf_printf(out, "HTTP/1.1 %d %s\r\nDate: ", status, leat_http_reason(status));
    leat_http_write_date(out, (int64_t)time(NULL));
    leat_buf_text(out, "\r\n");
}

void leat_http_write_response(leat_buf *out, int status, const char *content_type,
                              const char *extra_headers, leat_slice body, bool keep_alive,
                              bool head_only)
{
    /* No body by definition; 1xx and 204 may not even tell a length (RFC 9110 §8.6), 205 must tell
     * that there is none (§15.3.6). */
    bool bodiless = status < 200 || status == 204 || status == 304;
    if (status == 205)
        body.len = 0;
    leat_http_write_status(out, status);
    if (content_type != NULL)
        leat_buf_printf(out, "Content-Type: %s\r\n", content_type);
    if (!bodiless)
        leat_buf_printf(out, "Content-Length: %zu\r\n", body.len);
    leat_buf_printf(out, "Connection: %s\r\n", keep_alive ? "keep-alive" : "close");
    if (extra_headers != NULL)
        leat_buf_text(out, extra_headers);
    leat_buf_text(out, "\r\n");
    if (!bodiless && !head_only)
        leat_buf_slice(out, body);
}
