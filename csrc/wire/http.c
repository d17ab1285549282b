/* One request. Its head is gathered line by line (feed_head), each line checked by http_head as
 * soon as it is whole, so that what is malformed is refused at once and not after a timeout. At the
 * empty line llhttp reads the whole head in one go (read_head): its spans point into our copy.
 * There leat_http_feed stops, if a body follows. The body goes through llhttp as it comes
 * (feed_body), up to the last chunk, if there are chunks; llhttp gets the size of a chunk without
 * the extensions (feed_chunk_line), and trailers are checked and dropped (feed_trailer). */
#include "wire/http.h"

#include <stdint.h>
#include <stdlib.h>
#include <strings.h>

#include <llhttp.h>

#include "base/err.h"
#include "base/mem.h"
#include "wire/http_head.h"

enum phase {
    PHASE_HEAD,
    PHASE_BODY,
    PHASE_TRAILER,
    PHASE_DONE,
    PHASE_FAILED,
};

enum {
    KEPT_CAP = 1024,     /* buffers larger than this are not kept for the next request */
    MAX_EMPTY_LINES = 2, /* before a request line (RFC 9112 §2.2) */
    CHUNK_OVERHEAD = 16, /* framing bytes a byte of body that are put up with */
};

struct leat_http_parser {
    leat_pool *pool; /* NULL: it is of malloc */
    leat_http_limits limits;
    llhttp_t llhttp;
    leat_http_head checks;
    leat_http_request request;
    leat_http_header *headers;
    size_t n_values; /* of headers: how many have their value */
    leat_buf head;
    leat_buf body;
    leat_buf trailer;  /* the unfinished line of a chunk's size, or of the trailer */
    leat_slice target; /* as llhttp found it in head */
    size_t line_at;    /* where in head the unfinished line begins */
    size_t trailer_len;
    uint64_t body_fed; /* bytes, with the framing of chunks */
    unsigned empty_lines;
    bool at_chunk; /* the line with a chunk's size comes next */
    int status;    /* what a callback of llhttp found wrong */
    enum phase phase;
};

static int on_url(llhttp_t *l, const char *at, size_t len)
{
    leat_http_parser *p = l->data;
    p->target = (leat_slice){at, len};
    return 0;
}

static int on_header_field(llhttp_t *l, const char *at, size_t len)
{
    leat_http_parser *p = l->data;
    LEAT_ASSERT(p->request.n_headers < p->checks.n_fields);
    p->headers[p->request.n_headers++].name = (leat_slice){at, len};
    return 0;
}

static int on_header_value(llhttp_t *l, const char *at, size_t len)
{
    leat_http_parser *p = l->data;
    p->headers[p->request.n_headers - 1].value = (leat_slice){at, len};
    return 0;
}

static int on_body(llhttp_t *l, const char *at, size_t len)
{
    leat_http_parser *p = l->data;
    if (len > p->limits.max_body - p->body.len) {
        p->status = 413;
        return -1;
    }
    leat_buf_append(&p->body, at, len);
    return 0;
}

/* A chunk that cannot fit is refused before it comes. The last chunk, of size 0, is where llhttp's
 * work ends: it would let bare LFs through in the trailer. */
static int on_chunk_header(llhttp_t *l)
{
    leat_http_parser *p = l->data;
    if (l->content_length == 0) {
        p->phase = PHASE_TRAILER;
        return HPE_PAUSED;
    }
    if (l->content_length > p->limits.max_body - p->body.len) {
        p->status = 413;
        return -1;
    }
    return 0;
}

static int on_chunk_complete(llhttp_t *l)
{
    leat_http_parser *p = l->data;
    p->at_chunk = true;
    return HPE_PAUSED;
}

static int on_message_complete(llhttp_t *l)
{
    leat_http_parser *p = l->data;
    p->phase = PHASE_DONE;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_body = on_body,
    .on_chunk_header = on_chunk_header,
    .on_chunk_complete = on_chunk_complete,
    .on_message_complete = on_message_complete,
};

/* Runs llhttp over bytes; *used is how many it took before it paused. */
static int execute(leat_http_parser *p, const char *bytes, size_t len, size_t *used)
{
    llhttp_errno_t err = llhttp_execute(&p->llhttp, bytes, len);
    *used = len;
    switch (err) {
    case HPE_OK:
        return 0;
    case HPE_PAUSED:
    case HPE_PAUSED_UPGRADE:
        *used = (size_t)(llhttp_get_error_pos(&p->llhttp) - bytes);
        return 0;
    case HPE_INVALID_METHOD:
    case HPE_INVALID_CONSTANT: /* a method of another protocol, which llhttp knows as well */
        return 501;
    default:
        return p->status != 0 ? p->status : 400;
    }
}

/* Bytes of our own copy, which llhttp lent us as const. */
static char *own_bytes(leat_http_parser *p, const char *at)
{
    return p->head.at + (at - p->head.at);
}

/* Takes scheme and authority off a target in absolute-form. Where no path follows, there is room
 * for its "/" if the authority moves over the end of the scheme, which nobody needs any more. */
static leat_slice strip_authority(leat_http_parser *p, leat_slice target, leat_slice *authority)
{
    if (target.at[0] == '/')
        return target;
    const char *end = target.at + target.len;
    const char *from = target.at + leat_http_head_scheme_len(target);
    const char *at = from;
    while (at < end && *at != '/' && *at != '?')
        at++;
    *authority = (leat_slice){from, (size_t)(at - from)};
    if (at == end || *at == '?') {
        authority->at = memmove(own_bytes(p, from - 1), from, authority->len);
        *own_bytes(p, --at) = '/';
    }
    return (leat_slice){at, (size_t)(end - at)};
}

static void lower_case(char *at, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (at[i] >= 'A' && at[i] <= 'Z')
            at[i] = (char)(at[i] - 'A' + 'a');
}

/* Fills in the request from what llhttp has found in the head. */
static void describe(leat_http_parser *p)
{
    leat_http_request *r = &p->request;
    const char *space = memchr(p->head.at, ' ', p->head.len);
    r->method = (leat_slice){p->head.at, (size_t)(space - p->head.at)};
    r->target = r->path = strip_authority(p, p->target, &r->host);
    const char *mark = memchr(r->target.at, '?', r->target.len);
    if (mark != NULL) {
        r->path.len = (size_t)(mark - r->target.at);
        r->query = (leat_slice){mark + 1, r->target.len - r->path.len - 1};
    }
    for (size_t i = 0; i < r->n_headers; i++) {
        leat_http_header *h = &p->headers[i];
        lower_case(own_bytes(p, h->name.at), h->name.len);
        h->value = leat_http_head_trim(h->value);
    }
    r->headers = p->headers;
    if (r->host.at == NULL)
        r->host = leat_http_find(r, "host");
    r->minor = p->checks.minor;
    bool close = leat_http_has_token(r, "connection", "close");
    r->keep_alive = !close && (r->minor > 0 || leat_http_has_token(r, "connection", "keep-alive"));
    r->upgrade = leat_http_has_token(r, "connection", "upgrade");
    r->has_body = p->phase != PHASE_DONE;
}

/* RFC 9110 §10.1.1: HTTP/1.0 has no expectations, and a request without a body awaits nothing. */
static int read_expectations(leat_http_request *r)
{
    for (size_t i = 0; i < r->n_headers && r->minor >= 1; i++) {
        leat_slice rest = r->headers[i].value;
        leat_slice item;
        if (!leat_slice_is(r->headers[i].name, "expect"))
            continue;
        while (leat_http_list_next(&rest, &item)) {
            if (!leat_http_head_is_word(item, "100-continue"))
                return 417;
            r->expects_continue = r->has_body;
        }
    }
    return 0;
}

/* The head is whole and well-formed. */
static int read_head(leat_http_parser *p)
{
    int status = leat_http_head_end(&p->checks, p->limits.max_body);
    if (status != 0)
        return status;
    if (p->checks.n_fields > 0)
        p->headers = leat_calloc(p->checks.n_fields, sizeof(*p->headers));
    llhttp_init(&p->llhttp, HTTP_REQUEST, &settings);
    p->llhttp.data = p;
    p->phase = PHASE_BODY;
    p->at_chunk = p->checks.n_encodings > 0;
    size_t used = 0;
    status = execute(p, p->head.at, p->head.len, &used);
    if (status != 0)
        return status;
    describe(p);
    return read_expectations(&p->request);
}

/* Takes bytes up to the next LF. The line is not whole while *line.at is NULL. 400 for a LF without
 * its CR. */
static int take_line(leat_buf *to, size_t line_at, const char *bytes, size_t n, leat_slice *line)
{
    leat_buf_append(to, bytes, n);
    size_t len = to->len - line_at;
    *line = (leat_slice){NULL, 0};
    if (to->at[to->len - 1] != '\n')
        return 0;
    if (len < 2 || to->at[to->len - 2] != '\r')
        return 400;
    *line = (leat_slice){to->at + line_at, len - 2};
    return 0;
}

static size_t to_line_end(const char *bytes, size_t len)
{
    const char *lf = memchr(bytes, '\n', len);
    return lf == NULL ? len : (size_t)(lf - bytes) + 1;
}

/* The limit is passed: by the request line, or by what follows it. */
static int too_long(const leat_http_parser *p)
{
    if (p->line_at > 0)
        return 431;
    return p->head.len > 0 && memchr(p->head.at, ' ', p->head.len) != NULL ? 414 : 400;
}

static int skip_empty_line(leat_http_parser *p)
{
    p->head.len = 0;
    return ++p->empty_lines > MAX_EMPTY_LINES ? 400 : 0;
}

/* The request line has been checked: its target stands between its two spaces. */
static int check_url(const leat_http_parser *p, leat_slice line)
{
    const char *first = memchr(line.at, ' ', line.len);
    const char *last = memrchr(line.at, ' ', line.len);
    size_t len = (size_t)(last - first) - 1;
    return p->limits.max_url > 0 && len > p->limits.max_url ? 414 : 0;
}

static int take_request_line(leat_http_parser *p, leat_slice line)
{
    p->checks.secure = p->request.tls.at != NULL;
    int status = leat_http_head_request_line(&p->checks, line);
    return status == 0 ? check_url(p, line) : status;
}

/* llhttp takes no tab behind the value of a framing header. */
static void blank_end(leat_http_parser *p, leat_slice line)
{
    char *end = own_bytes(p, line.at) + line.len;
    while (end > line.at && (end[-1] == '\t' || end[-1] == ' '))
        *--end = ' ';
}

static int take_head_line(leat_http_parser *p, leat_slice line)
{
    bool first = p->line_at == 0;
    if (line.len == 0)
        return first ? skip_empty_line(p) : read_head(p);
    p->line_at = p->head.len;
    if (first)
        return take_request_line(p, line);
    blank_end(p, line);
    int status = leat_http_head_field(&p->checks, line);
    return status == 0 && p->checks.n_fields > p->limits.max_headers ? 431 : status;
}

static int feed_head(leat_http_parser *p, const char *bytes, size_t len, size_t *used)
{
    /* Something that is not HTTP at all (TLS, say) need not be waited out. */
    if (p->head.len == 0 && *bytes != '\r' && *bytes != '\n' &&
        !leat_http_head_is_token_char(*bytes))
        return 400;
    size_t n = to_line_end(bytes, len);
    size_t room = p->limits.max_head - p->head.len;
    *used = n;
    if (p->head.at == NULL) /* for the whole head, as it usually comes in one piece */
        leat_buf_reserve(&p->head, len < room ? len : room);
    if (n > room) {
        leat_buf_append(&p->head, bytes, room);
        return too_long(p);
    }
    leat_slice line;
    int status = take_line(&p->head, p->line_at, bytes, n, &line);
    return status == 0 && line.at != NULL ? take_head_line(p, line) : status;
}

/* Extensions are checked, and ignored (RFC 9112 §7.1.1). */
static int feed_chunk_line(leat_http_parser *p, const char *bytes, size_t len, size_t *used)
{
    size_t n = to_line_end(bytes, len);
    *used = n;
    if (n > p->limits.max_head - p->trailer.len)
        return 400;
    leat_slice line;
    int status = take_line(&p->trailer, 0, bytes, n, &line);
    if (status != 0 || line.at == NULL)
        return status;
    size_t digits = leat_http_head_chunk_digits(line);
    if (digits == 0)
        return 400;
    memcpy(p->trailer.at + digits, "\r\n", 2);
    p->trailer.len = 0;
    p->at_chunk = false;
    llhttp_resume(&p->llhttp);
    return execute(p, p->trailer.at, digits + 2, &n);
}

/* Framing (extensions, leading zeros, chunks of a byte) may not cost endlessly more than the body.
 */
static int feed_body(leat_http_parser *p, const char *bytes, size_t len, size_t *used)
{
    int status = p->at_chunk ? feed_chunk_line(p, bytes, len, used) : execute(p, bytes, len, used);
    p->body_fed += *used;
    if (status == 0 && p->phase == PHASE_BODY &&
        p->body_fed / CHUNK_OVERHEAD > p->body.len + p->limits.max_head)
        return 400;
    return status;
}

static int feed_trailer(leat_http_parser *p, const char *bytes, size_t len, size_t *used)
{
    size_t n = to_line_end(bytes, len);
    *used = n;
    p->trailer_len += n;
    if (p->trailer_len > p->limits.max_head)
        return 431;
    leat_slice line;
    int status = take_line(&p->trailer, 0, bytes, n, &line);
    if (status != 0 || line.at == NULL)
        return status;
    if (line.len == 0)
        p->phase = PHASE_DONE;
    else
        status = leat_http_head_field_form(line);
    p->trailer.len = 0;
    return status;
}

leat_http_parser *leat_http_parser_new(leat_pool *pool, const leat_http_limits *limits)
{
    leat_http_parser *p =
        pool != NULL ? leat_pool_take(pool, sizeof(*p)) : leat_calloc(1, sizeof(*p));
    p->pool = pool;
    p->limits = *limits;
    return p;
}

void leat_http_parser_set_tls(leat_http_parser *p, leat_slice facts)
{
    p->request.tls = facts;
}

void leat_http_parser_free(leat_http_parser *p)
{
    if (p == NULL)
        return;
    leat_buf_close(&p->head);
    leat_buf_close(&p->body);
    leat_buf_close(&p->trailer);
    free(p->headers);
    if (p->pool != NULL)
        leat_pool_give(p->pool, p);
    else
        free(p);
}

int leat_http_feed(leat_http_parser *p, const char *bytes, size_t len, size_t *used,
                   leat_http_progress *progress)
{
    size_t at = 0;
    bool head_ends = false;
    int status = p->phase == PHASE_FAILED ? 400 : 0;
    while (at < len && status == 0 && p->phase != PHASE_DONE && !head_ends) {
        size_t n = 0;
        if (p->phase == PHASE_HEAD) {
            status = feed_head(p, bytes + at, len - at, &n);
            head_ends = p->phase == PHASE_BODY;
        } else if (p->phase == PHASE_BODY) {
            status = feed_body(p, bytes + at, len - at, &n);
        } else {
            status = feed_trailer(p, bytes + at, len - at, &n);
        }
        at += n;
    }
    if (status != 0)
        p->phase = PHASE_FAILED;
    p->request.body = leat_buf_view(&p->body);
    *used = at;
    *progress = p->phase == PHASE_DONE     ? LEAT_HTTP_WHOLE
                : head_ends && status == 0 ? LEAT_HTTP_HEAD
                                           : LEAT_HTTP_MORE;
    return status;
}

const leat_http_request *leat_http_parser_request(const leat_http_parser *p)
{
    return &p->request;
}

bool leat_http_parser_whole(const leat_http_parser *p)
{
    return p->phase == PHASE_DONE;
}

size_t leat_http_parser_bytes(const leat_http_parser *p)
{
    return p->head.cap + p->body.cap + p->trailer.cap +
           (p->headers == NULL ? 0 : p->checks.n_fields * sizeof(*p->headers));
}

bool leat_http_parser_started(const leat_http_parser *p)
{
    return p->phase != PHASE_HEAD || p->head.len > 0;
}

static void empty(leat_buf *b)
{
    if (b->cap > KEPT_CAP)
        leat_buf_close(b);
    b->len = 0;
}

void leat_http_parser_reset(leat_http_parser *p)
{
    empty(&p->head);
    empty(&p->body);
    empty(&p->trailer);
    free(p->headers);
    leat_http_parser kept = *p;
    *p = (leat_http_parser){.pool = kept.pool,
                            .limits = kept.limits,
                            .request = {.tls = kept.request.tls},
                            .head = kept.head,
                            .body = kept.body,
                            .trailer = kept.trailer};
}
