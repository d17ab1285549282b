/* head.c - the fields stand one after another, each after its length in four bytes. The headers
 * come last, as pairs of name and value.
 */
#include "wire/head.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#define ABSENT UINT32_MAX

static void put(leat_buf *out, leat_slice field)
{
    uint32_t len = field.at == NULL ? ABSENT : (uint32_t)field.len;
    leat_buf_append(out, &len, sizeof(len));
    if (field.at != NULL)
        leat_buf_slice(out, field);
}

static leat_slice take(leat_slice *rest)
{
    uint32_t len = 0;
    memcpy(&len, rest->at, sizeof(len));
    rest->at += sizeof(len);
    rest->len -= sizeof(len);
    if (len == ABSENT)
        return (leat_slice){NULL, 0};
    leat_slice field = {rest->at, len};
    rest->at += len;
    rest->len -= len;
    return field;
}

void leat_head_pack(leat_buf *out, const leat_http_request *request, const char *remote,
                    leat_slice token)
{
    put(out, request->method);
    put(out, request->path);
    put(out, request->query);
    put(out, leat_slice_of(remote));
    put(out, request->tls);
    put(out, token);
    for (size_t i = 0; i < request->n_headers; i++) {
        put(out, request->headers[i].name);
        put(out, request->headers[i].value);
    }
}

/* Headers about the connection, and not about the client. */
static bool is_opening_header(leat_slice name)
{
    static const char *const names[] = {
        "connection",
        "upgrade",
        "sec-websocket-key",
        "sec-websocket-version",
        "sec-websocket-extensions",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (leat_slice_is(name, names[i]))
            return true;
    }
    return false;
}

void leat_head_repack(leat_buf *out, const leat_head *head, leat_slice token)
{
    static const leat_head empty = {.method = {NULL, 0}};
    const leat_head *from = head != NULL ? head : &empty;
    leat_slice name;
    leat_slice value;
    put(out, from->method);
    put(out, from->path);
    put(out, from->query);
    put(out, from->remote);
    put(out, from->tls);
    put(out, token.at != NULL ? token : from->token);
    for (leat_slice rest = from->headers; leat_head_next(&rest, &name, &value);) {
        if (is_opening_header(name))
            continue;
        put(out, name);
        put(out, value);
    }
}

leat_head leat_head_read(leat_slice packed)
{
    leat_slice rest = packed;
    leat_head head;
    head.method = take(&rest);
    head.path = take(&rest);
    head.query = take(&rest);
    head.remote = take(&rest);
    head.tls = take(&rest);
    head.token = take(&rest);
    head.headers = rest;
    return head;
}

bool leat_head_next(leat_slice *rest, leat_slice *name, leat_slice *value)
{
    if (rest->len == 0)
        return false;
    *name = take(rest);
    *value = take(rest);
    return true;
}

static leat_slice bearer(const leat_head *head)
{
    static const char scheme[] = "Bearer ";
    leat_slice name;
    leat_slice value;
    for (leat_slice rest = head->headers; leat_head_next(&rest, &name, &value);) {
        if (!leat_slice_is(name, "authorization") || value.len < sizeof(scheme) ||
            strncasecmp(value.at, scheme, sizeof(scheme) - 1) != 0)
            continue;
        value.at += sizeof(scheme) - 1;
        value.len -= sizeof(scheme) - 1;
        while (value.len > 0 && *value.at == ' ') {
            value.at++;
            value.len--;
        }
        return value;
    }
    return (leat_slice){NULL, 0};
}

leat_slice leat_head_token(const leat_head *head, leat_buf *scratch)
{
    if (head->token.at != NULL)
        return head->token;
    leat_slice token = bearer(head);
    if (token.at != NULL || head->query.at == NULL)
        return token;
    scratch->len = 0;
    if (!leat_http_query_get(head->query, "token", scratch))
        return (leat_slice){NULL, 0};
    return scratch->at == NULL ? leat_slice_of("") : leat_buf_view(scratch);
}
