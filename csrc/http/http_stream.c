#include "http/http_stream.h"

#include <string.h>
#include <strings.h>

#include "base/utf8.h"
#include "wire/http_head.h"
#include "wire/json.h"
#include "wire/leat_v1.h"
#include "wire/sse.h"

#define MAX_PARAMS 64

/* "0", "0.", "0.000": not acceptable (RFC 9110 §12.4.2). */
static bool is_zero(leat_slice weight)
{
    for (size_t i = 0; i < weight.len; i++)
        if (weight.at[i] != '0' && !(i == 1 && weight.at[i] == '.'))
            return false;
    return weight.len > 0;
}

/* Whether one of a media range's parameters says that it is not wanted. */
static bool is_excluded(leat_slice parameters)
{
    while (parameters.len > 0) {
        const char *mark = memchr(parameters.at, ';', parameters.len);
        size_t len = mark == NULL ? parameters.len : (size_t)(mark - parameters.at);
        leat_slice one = leat_http_head_trim((leat_slice){parameters.at, len});
        size_t used = mark == NULL ? len : len + 1;
        parameters = (leat_slice){parameters.at + used, parameters.len - used};
        if (one.len > 2 && (one.at[0] | 0x20) == 'q' && one.at[1] == '=')
            return is_zero((leat_slice){one.at + 2, one.len - 2});
    }
    return false;
}

/* A media range may have parameters: "text/event-stream;q=0.9". */
static bool is_event_stream(leat_slice range)
{
    static const char type[] = "text/event-stream";
    size_t n = sizeof(type) - 1;
    if (range.len < n || strncasecmp(range.at, type, n) != 0)
        return false;
    if (range.len > n && strchr("; \t", range.at[n]) == NULL)
        return false;
    return !is_excluded((leat_slice){range.at + n, range.len - n});
}

bool leat_http_stream_wants_sse(const leat_http_request *r)
{
    for (size_t i = 0; i < r->n_headers; i++) {
        leat_slice rest = r->headers[i].value;
        leat_slice range;
        if (!leat_slice_is(r->headers[i].name, "accept"))
            continue;
        while (leat_http_list_next(&rest, &range))
            if (is_event_stream(range))
                return true;
    }
    return false;
}

bool leat_http_stream_is_event_source(const leat_http_request *r)
{
    return leat_http_stream_wants_sse(r) && leat_http_has_token(r, "cache-control", "no-cache");
}

/* --- parameters --- */

struct params {
    leat_buf names; /* those seen, one after the other */
    size_t ends[MAX_PARAMS];
    size_t count;
};

static bool seen(const struct params *p, leat_slice name)
{
    size_t begin = 0;
    for (size_t i = 0; i < p->count; i++) {
        if (leat_slice_equal((leat_slice){p->names.at + begin, p->ends[i] - begin}, name))
            return true;
        begin = p->ends[i];
    }
    return false;
}

static int add_param(struct params *p, leat_slice name, leat_slice value, leat_buf *out,
                     const char **reason)
{
    if (p->count == MAX_PARAMS) {
        *reason = "too many query parameters";
        return LEAT_EBADMSG;
    }
    leat_buf_slice(&p->names, name);
    p->ends[p->count++] = p->names.len;
    if (p->count > 1)
        leat_buf_char(out, ',');
    int err = leat_json_write_string(out, name);
    leat_buf_char(out, ':');
    if (err == 0)
        err = leat_json_write_string(out, value);
    if (err < 0)
        *reason = "a query parameter is not UTF-8";
    return err;
}

/* A parameter without a value has no bytes, which is not the same as no parameter. */
static leat_slice text_of(const leat_buf *b)
{
    return b->at == NULL ? leat_slice_of("") : leat_buf_view(b);
}

int leat_http_stream_params(const leat_http_request *r, leat_buf *out, const char **reason)
{
    struct params p = {.names = LEAT_BUF_INIT};
    leat_buf name = LEAT_BUF_INIT;
    leat_buf value = LEAT_BUF_INIT;
    leat_slice rest = r->query;
    int err = 0;
    leat_buf_char(out, '{');
    while (err == 0 && rest.at != NULL && leat_http_query_next(&rest, &name, &value)) {
        leat_slice key = text_of(&name);
        if (!leat_slice_is(key, "token") && !seen(&p, key))
            err = add_param(&p, key, text_of(&value), out, reason);
    }
    leat_buf_char(out, '}');
    leat_buf_close(&p.names);
    leat_buf_close(&name);
    leat_buf_close(&value);
    return err;
}

/* --- the position --- */

static int since_of_query(leat_slice query, leat_buf *epoch, leat_named_position *out,
                          const char **reason)
{
    leat_buf seq = LEAT_BUF_INIT;
    bool has_epoch = leat_http_query_get(query, "epoch", epoch);
    bool has_seq = leat_http_query_get(query, "seq", &seq);
    int64_t n = -1;
    bool good = has_epoch && has_seq && epoch->len > 0 && leat_utf8_valid(epoch->at, epoch->len) &&
                leat_json_int(leat_buf_view(&seq), &n) && n >= 0 && n <= LEAT_SEQ_MAX;
    leat_buf_close(&seq);
    if (good)
        *out = (leat_named_position){.epoch = leat_buf_view(epoch), .seq = n};
    if (good || (!has_epoch && !has_seq))
        return 0;
    *reason = "a position needs epoch and seq";
    return LEAT_EBADMSG;
}

int leat_http_stream_since(const leat_http_request *r, bool sse, leat_buf *epoch,
                           leat_named_position *out, const char **reason)
{
    leat_slice id = sse ? leat_http_find(r, "last-event-id") : (leat_slice){NULL, 0};
    *out = (leat_named_position){.seq = 0};
    if (id.at != NULL) {
        if (!leat_sse_parse_id(id, &out->epoch, &out->seq))
            *out = (leat_named_position){.seq = 0};
        return 0;
    }
    return r->query.at == NULL ? 0 : since_of_query(r->query, epoch, out, reason);
}
