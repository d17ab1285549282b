/* What is inside a request's fields: header lists, percent-encoding, queries, cookies. */
#include "wire/http.h"

#include <strings.h>

#include "wire/http_head.h"

/* Cuts *rest at the first separator: what stands before it is returned, and taken off *rest. */
static leat_slice cut(leat_slice *rest, char separator)
{
    const char *mark = memchr(rest->at, separator, rest->len);
    leat_slice part = {rest->at, mark == NULL ? rest->len : (size_t)(mark - rest->at)};
    size_t taken = part.len + (mark == NULL ? 0 : 1);
    rest->at += taken;
    rest->len -= taken;
    return part;
}

leat_slice leat_http_find(const leat_http_request *r, const char *name)
{
    leat_slice wanted = leat_slice_of(name);
    for (size_t i = 0; i < r->n_headers; i++)
        if (leat_slice_equal(r->headers[i].name, wanted))
            return r->headers[i].value;
    return (leat_slice){NULL, 0};
}

size_t leat_http_count(const leat_http_request *r, const char *name)
{
    leat_slice wanted = leat_slice_of(name);
    size_t n = 0;
    for (size_t i = 0; i < r->n_headers; i++)
        if (leat_slice_equal(r->headers[i].name, wanted))
            n++;
    return n;
}

bool leat_http_list_next(leat_slice *rest, leat_slice *item)
{
    while (rest->len > 0) {
        *item = leat_http_head_trim(cut(rest, ','));
        if (item->len > 0)
            return true;
    }
    return false;
}

static bool list_has(leat_slice list, const char *token, size_t len)
{
    leat_slice item;
    while (leat_http_list_next(&list, &item))
        if (item.len == len && strncasecmp(item.at, token, len) == 0)
            return true;
    return false;
}

bool leat_http_has_token(const leat_http_request *r, const char *name, const char *token)
{
    leat_slice wanted = leat_slice_of(name);
    size_t len = strlen(token);
    for (size_t i = 0; i < r->n_headers; i++)
        if (leat_slice_equal(r->headers[i].name, wanted) &&
            list_has(r->headers[i].value, token, len))
            return true;
    return false;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The byte that the escape at at stands for; -1 if it is malformed or a NUL. */
static int escaped_byte(const char *at, const char *end)
{
    if (end - at < 3)
        return -1;
    int high = hex_value(at[1]);
    int low = hex_value(at[2]);
    if (high < 0 || low < 0)
        return -1;
    int byte = high << 4 | low;
    return byte == 0 ? -1 : byte;
}

/* Appends text, decoded. Malformed escapes are kept as they stand; then false is returned. */
static bool decode(leat_buf *out, leat_slice text, bool plus_is_space)
{
    bool ok = true;
    const char *end = text.at + text.len;
    leat_buf_reserve(out, text.len);
    for (const char *at = text.at; at < end; at++) {
        int byte = *at == '%' ? escaped_byte(at, end) : -1;
        ok = ok && (*at != '%' || byte >= 0) && *at != '\0';
        if (byte >= 0) {
            leat_buf_char(out, (char)byte);
            at += 2;
        } else {
            leat_buf_char(out, plus_is_space && *at == '+' ? ' ' : *at);
        }
    }
    return ok;
}

bool leat_http_unescape(leat_buf *out, leat_slice text)
{
    size_t len = out->len;
    if (text.len == 0 || decode(out, text, false))
        return true;
    out->len = len;
    return false;
}

/* The next parameter of a query, still encoded. Empty ones ("a=1&&b=2") are passed over. */
static bool next_parameter(leat_slice *rest, leat_slice *name, leat_slice *value)
{
    while (rest->len > 0) {
        leat_slice part = cut(rest, '&');
        if (part.len == 0)
            continue;
        *name = cut(&part, '=');
        *value = part;
        return true;
    }
    return false;
}

static bool is_name(leat_slice encoded, const char *name)
{
    const char *end = encoded.at + encoded.len;
    const char *at = encoded.at;
    for (; at < end && *name != '\0'; at++, name++) {
        int byte = *at == '%' ? escaped_byte(at, end) : -1;
        char c = *at == '+' ? ' ' : *at;
        if (byte >= 0) {
            c = (char)byte;
            at += 2;
        }
        if (c != *name)
            return false;
    }
    return at == end && *name == '\0';
}

bool leat_http_query_get(leat_slice query, const char *name, leat_buf *out)
{
    leat_slice key;
    leat_slice value;
    while (next_parameter(&query, &key, &value)) {
        if (!is_name(key, name))
            continue;
        size_t len = out->len;
        if (value.len == 0 || decode(out, value, true))
            return true;
        out->len = len;
        return false;
    }
    return false;
}

bool leat_http_query_next(leat_slice *rest, leat_buf *name, leat_buf *value)
{
    leat_slice raw_name;
    leat_slice raw_value;
    if (!next_parameter(rest, &raw_name, &raw_value))
        return false;
    name->len = 0;
    value->len = 0;
    if (raw_name.len > 0)
        (void)decode(name, raw_name, true);
    if (raw_value.len > 0)
        (void)decode(value, raw_value, true);
    return true;
}

bool leat_http_cookie_next(leat_slice *rest, leat_slice *name, leat_slice *value)
{
    while (rest->len > 0) {
        leat_slice pair = cut(rest, ';');
        if (memchr(pair.at, '=', pair.len) == NULL)
            continue;
        *name = leat_http_head_trim(cut(&pair, '='));
        *value = leat_http_head_trim(pair);
        if (name->len > 0)
            return true;
    }
    return false;
}
