/* Requests must be read alike however they are cut, and hold to the limits. What a good one says is
 * walked through as the server does it. */
#include "fuzz.h"

#include "wire/gzip.h"
#include "wire/http.h"
#include "wire/range.h"
#include "wire/upgrade.h"

typedef struct outcome {
    int status;
    bool done;
    size_t used;
    leat_buf text;
} outcome;

static void walk(const leat_http_request *r)
{
    leat_buf name = LEAT_BUF_INIT;
    leat_buf value = LEAT_BUF_INIT;
    leat_slice rest = r->query;
    while (leat_http_query_next(&rest, &name, &value))
        continue;
    value.len = 0;
    (void)leat_http_query_get(r->query, "token", &value);
    (void)leat_http_unescape(&value, r->path);
    leat_slice cookie_name;
    leat_slice cookie_value;
    rest = leat_http_find(r, "cookie");
    while (leat_http_cookie_next(&rest, &cookie_name, &cookie_value))
        CHECK(cookie_name.len > 0);
    leat_range range;
    if (leat_range_read(leat_http_find(r, "range"), 1000, &range) == LEAT_RANGE_PART)
        CHECK(range.first <= range.last && range.last < 1000);
    CHECK(leat_gzip_wanted(r) <= LEAT_CODING_NEITHER);
    leat_upgrade u;
    const char *reason = NULL;
    int status = leat_upgrade_check(r, &u, &reason);
    CHECK((status == 0) == (reason == NULL));
    leat_accept *a = leat_accept_new();
    if (status == 0)
        leat_upgrade_write_accept(&value, a, u.key, NULL, NULL);
    leat_accept_free(a);
    leat_buf_close(&name);
    leat_buf_close(&value);
}

static void describe(outcome *o, const leat_http_request *r, const leat_http_limits *limits)
{
    CHECK(r->n_headers <= limits->max_headers && r->body.len <= limits->max_body);
    CHECK(r->method.len > 0 && r->target.len > 0 && r->target.at[0] == '/');
    CHECK(leat_http_count(r, "host") == 1 || r->minor == 0);
    leat_buf_slice(&o->text, r->method);
    leat_buf_slice(&o->text, r->target);
    leat_buf_slice(&o->text, r->path);
    leat_buf_slice(&o->text, r->query);
    for (size_t i = 0; i < r->n_headers; i++) {
        leat_buf_slice(&o->text, r->headers[i].name);
        leat_buf_char(&o->text, ':');
        leat_buf_slice(&o->text, r->headers[i].value);
        leat_buf_char(&o->text, ';');
        CHECK(memchr(r->headers[i].value.at, '\n', r->headers[i].value.len) == NULL);
        CHECK(memchr(r->headers[i].value.at, '\0', r->headers[i].value.len) == NULL);
    }
    leat_buf_slice(&o->text, r->body);
    leat_buf_printf(&o->text, "%d%d%d", r->minor, r->keep_alive, r->upgrade);
    walk(r);
}

static outcome parse(leat_slice input, const leat_http_limits *limits, uint32_t random)
{
    outcome o = {.text = LEAT_BUF_INIT};
    leat_http_parser *p = leat_http_parser_new(NULL, limits);
    while (o.used < input.len && o.status == 0 && !o.done) {
        size_t n = random == 0 ? input.len - o.used : next_piece(&random, input.len - o.used);
        char *piece = malloc(n);
        memcpy(piece, input.at + o.used, n);
        size_t used = 0;
        leat_http_progress progress;
        o.status = leat_http_feed(p, piece, n, &used, &progress);
        free(piece);
        o.done = progress == LEAT_HTTP_WHOLE;
        CHECK(used <= n);
        CHECK(o.status != 0 || progress != LEAT_HTTP_MORE || used == n);
        CHECK(progress != LEAT_HTTP_HEAD || leat_http_parser_request(p)->has_body);
        o.used += used;
    }
    CHECK(o.status == 0 || !o.done);
    if (o.done)
        describe(&o, leat_http_parser_request(p), limits);
    leat_http_parser_reset(p);
    CHECK(!leat_http_parser_started(p));
    leat_http_parser_free(p);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4)
        return 0;
    leat_http_limits limits = {
        .max_head = data[0] < 128 ? 65536 : data[0],
        .max_headers = data[1] % 16,
        .max_body = data[1] / 16,
    };
    leat_slice input = {(const char *)data + 4, size - 4};
    outcome whole = parse(input, &limits, 0);
    outcome cut = parse(input, &limits, 1u + data[2] + ((uint32_t)data[3] << 8));
    /* Disproportionate framing is noticed only if the body's end does not come in the same piece.
     */
    bool framing = cut.status == 400 && data[0] >= 128;
    CHECK(framing || whole.status == cut.status);
    if (whole.done && !framing) {
        CHECK(cut.done && whole.used == cut.used);
        CHECK(leat_slice_equal(leat_buf_view(&whole.text), leat_buf_view(&cut.text)));
    }
    leat_buf_close(&whole.text);
    leat_buf_close(&cut.text);
    return 0;
}
