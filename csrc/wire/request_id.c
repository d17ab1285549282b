/* request_id.c - each header is looked at once; a traceparent wins. */
#include "wire/request_id.h"

#include <string.h>

/* "00-TRACE-PARENT-FLAGS": later versions may be longer, and begin alike. */
enum { VERSION_LEN = 2, TRACE_LEN = 32, PARENT_LEN = 16, FLAGS_LEN = 2 };
enum {
    TRACE_AT = VERSION_LEN + 1,
    PARENT_AT = TRACE_AT + TRACE_LEN + 1,
    FLAGS_AT = PARENT_AT + PARENT_LEN + 1,
    LEAST_LEN = FLAGS_AT + FLAGS_LEN,
};

static const leat_slice none = {NULL, 0};

static bool is_hex(const char *at, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (strchr("0123456789abcdef", at[i]) == NULL || at[i] == '\0')
            return false;
    return true;
}

static bool is_zero(leat_slice id)
{
    size_t i = 0;
    while (i < id.len && id.at[i] == '0')
        i++;
    return i == id.len;
}

static leat_slice trace_of(leat_slice value)
{
    const char *at = value.at;
    if (value.len < LEAST_LEN || at[TRACE_AT - 1] != '-' || at[PARENT_AT - 1] != '-' ||
        at[FLAGS_AT - 1] != '-' || !is_hex(at, VERSION_LEN) || memcmp(at, "ff", 2) == 0 ||
        !is_hex(at + TRACE_AT, TRACE_LEN) || !is_hex(at + PARENT_AT, PARENT_LEN) ||
        !is_hex(at + FLAGS_AT, FLAGS_LEN))
        return none;
    if (value.len > LEAST_LEN && (memcmp(at, "00", 2) == 0 || at[LEAST_LEN] != '-'))
        return none;
    leat_slice trace = {at + TRACE_AT, TRACE_LEN};
    return is_zero(trace) ? none : trace;
}

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

static leat_slice plain_id(leat_slice value)
{
    if (value.len == 0 || value.len > LEAT_REQUEST_ID_MAX)
        return none;
    for (size_t i = 0; i < value.len; i++)
        if (!is_plain(value.at[i]))
            return none;
    return value;
}

typedef struct found {
    leat_slice trace;
    leat_slice plain;
} found;

static void look_at(found *f, leat_slice name, leat_slice value)
{
    if (f->trace.at == NULL && leat_slice_is(name, "traceparent"))
        f->trace = trace_of(value);
    else if (f->plain.at == NULL && leat_slice_is(name, "x-request-id"))
        f->plain = plain_id(value);
}

static leat_slice best(const found *f)
{
    return f->trace.at != NULL ? f->trace : f->plain;
}

leat_slice leat_request_id(const leat_http_request *request)
{
    found f = {none, none};
    for (size_t i = 0; i < request->n_headers; i++)
        look_at(&f, request->headers[i].name, request->headers[i].value);
    return best(&f);
}

leat_slice leat_request_id_of_head(const leat_head *head)
{
    found f = {none, none};
    leat_slice name, value;
    for (leat_slice rest = head->headers; leat_head_next(&rest, &name, &value);)
        look_at(&f, name, value);
    return best(&f);
}
