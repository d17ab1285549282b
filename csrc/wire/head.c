/* head.c - the fields stand one after another, each after its length: in one byte, or, if it is
 * long, in four more. The headers come last, as pairs of name and value.
 */
#include "wire/head.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

/* The first byte of a length, beyond the short ones. */
enum { LONG = 254, ABSENT = 255 };

enum { USUAL_BYTES = 512 }; /* of a packed head */

static void put(leat_buf *out, leat_slice field)
{
    uint32_t len = (uint32_t)field.len;
    if (field.at == NULL) {
        leat_buf_char(out, (char)ABSENT);
        return;
    }
    leat_buf_char(out, (char)(len < LONG ? len : LONG));
    if (len >= LONG)
        leat_buf_append(out, &len, sizeof(len));
    leat_buf_slice(out, field);
}

static void step(leat_slice *rest, size_t n)
{
    rest->at += n;
    rest->len -= n;
}

static leat_slice take(leat_slice *rest)
{
    uint32_t len = (uint8_t)rest->at[0];
    step(rest, 1);
    if (len == ABSENT)
        return (leat_slice){NULL, 0};
    if (len == LONG) {
        memcpy(&len, rest->at, sizeof(len));
        step(rest, sizeof(len));
    }
    leat_slice field = {rest->at, len};
    step(rest, len);
    return field;
}

/* Headers about the connection, and not about the client. */
static bool is_opening_header(leat_slice name)
{
    return leat_slice_is(name, "connection") || leat_slice_is(name, "upgrade") ||
           leat_slice_is(name, "sec-websocket-key") ||
           leat_slice_is(name, "sec-websocket-version") ||
           leat_slice_is(name, "sec-websocket-extensions");
}

/* All but the headers. token replaces the token unless token.at is NULL. */
static void put_front(leat_buf *out, const leat_head *head, leat_slice token)
{
    leat_buf_reserve(out, USUAL_BYTES);
    put(out, head->method);
    put(out, head->path);
    put(out, head->query);
    put(out, head->remote);
    put(out, head->tls);
    put(out, token.at != NULL ? token : head->token);
}

static leat_head front_of(const leat_http_request *request, const char *remote)
{
    return (leat_head){
        .method = request->method,
        .path = request->path,
        .query = request->query,
        .remote = leat_slice_of(remote),
        .tls = request->tls,
    };
}

static void put_header(leat_buf *out, leat_slice name, leat_slice value)
{
    put(out, name);
    put(out, value);
}

void leat_head_pack(leat_buf *out, const leat_http_request *request, const char *remote,
                    leat_slice token)
{
    leat_head front = front_of(request, remote);
    put_front(out, &front, token);
    for (size_t i = 0; i < request->n_headers; i++)
        put_header(out, request->headers[i].name, request->headers[i].value);
}

void leat_head_pack_kept(leat_buf *out, const leat_http_request *request, const char *remote,
                         leat_slice token)
{
    leat_head front = front_of(request, remote);
    put_front(out, &front, token);
    for (size_t i = 0; i < request->n_headers; i++)
        if (!is_opening_header(request->headers[i].name))
            put_header(out, request->headers[i].name, request->headers[i].value);
}

void leat_head_repack(leat_buf *out, const leat_head *head, leat_slice token)
{
    static const leat_head empty = {.method = {NULL, 0}};
    const leat_head *from = head != NULL ? head : &empty;
    leat_slice name;
    leat_slice value;
    put_front(out, from, token);
    for (leat_slice rest = from->headers; leat_head_next(&rest, &name, &value);)
        if (!is_opening_header(name))
            put_header(out, name, value);
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
