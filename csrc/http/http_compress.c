/* An answer is compressed if its type gains by it, the client wants it (wire/gzip.h), and the
 * length of the result tells nothing. Somebody who sees that length, and whose text the answer
 * repeats, can guess what else it contains, byte by byte (BREACH). For that he has to make the
 * victim's browser send requests with the victim's rights, and a browser adds cookies and the like
 * to them by itself. So the answers to requests with a cookie, or with an Authorization other than
 * Bearer, and answers that set a cookie, are never compressed.
 *
 * A short body is compressed at once; a long one by a job (compress_body, on_compressed). */
#include "http/http_compress.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/container_of.h"
#include "base/mem.h"
#include "http/http_answer.h"
#include "http/http_headers.h"
#include "wire/gzip.h"

/* Compressing so much takes about a millisecond. */
enum { MAX_AT_ONCE = 16384 };

#define VARY "Vary: Accept-Encoding\r\n"
#define CODED VARY "Content-Encoding: gzip\r\n"

typedef struct job {
    leat_http_conn *conn; /* NULL once cancelled */
    uv_work_t work;
    int level;
    int status;
    char *content_type;
    leat_buf headers; /* the route's own lines */
    leat_buf body;
    leat_buf out; /* empty: not compressed */
} job;

/* --- what may be compressed --- */

/* Whether a route's own lines leave the bytes of the body to us. */
static bool leaves_coding(const char *headers)
{
    leat_slice tag = leat_http_headers_find(headers, "ETag");
    leat_slice cache = leat_http_headers_find(headers, "Cache-Control");
    if (leat_http_headers_find(headers, "Content-Encoding").at != NULL ||
        leat_http_headers_find(headers, "Content-Range").at != NULL ||
        leat_http_headers_find(headers, "Set-Cookie").at != NULL)
        return false;
    /* A strong tag names the bytes as they are. */
    bool strong = tag.at != NULL && (tag.len < 2 || memcmp(tag.at, "W/", 2) != 0);
    bool fixed = false;
    for (leat_slice item; leat_http_list_next(&cache, &item);)
        fixed = fixed || leat_slice_is(item, "no-transform");
    return !strong && !fixed;
}

static bool may_compress(leat_http_conn *c, int status, const char *content_type,
                         const char *headers, leat_slice body)
{
    const leat_http_side *side = leat_http_conn_side(c);
    return side->gzip != NULL && status != 204 && status != 206 && status != 304 &&
           body.len >= side->options->policy->gzip_min_bytes && content_type != NULL &&
           leat_gzip_helps(leat_slice_of(content_type)) && leaves_coding(headers);
}

static bool is_bearer(leat_slice authorization)
{
    static const char scheme[] = "Bearer ";
    return authorization.len >= sizeof(scheme) - 1 &&
           strncasecmp(authorization.at, scheme, sizeof(scheme) - 1) == 0;
}

/* Whether a browser may have added the caller's rights by itself. */
static bool has_ambient_rights(const leat_http_request *r)
{
    leat_slice authorization = leat_http_find(r, "authorization");
    return leat_http_find(r, "cookie").at != NULL ||
           (authorization.at != NULL && !is_bearer(authorization));
}

static bool is_wanted(const leat_http_request *r)
{
    leat_coding wanted = leat_gzip_wanted(r);
    return (wanted == LEAT_CODING_GZIP || wanted == LEAT_CODING_GZIP_ONLY) &&
           !has_ambient_rights(r);
}

/* --- compressing --- */

/* Leaves out empty if the body does not get shorter. */
static void compress(int level, leat_slice body, leat_buf *out)
{
    leat_gzip *z = leat_gzip_new(level, body.len);
    if (!leat_gzip_feed(z, body, true, out) || out->len >= body.len)
        leat_buf_close(out);
    leat_gzip_free(z);
}

static void answer(leat_http_conn *c, int status, const char *content_type, const char *headers,
                   leat_slice plain, const leat_buf *compressed)
{
    leat_buf lines = LEAT_BUF_INIT;
    leat_buf_text(&lines, headers);
    leat_buf_text(&lines, compressed->len > 0 ? CODED : VARY);
    leat_buf_char(&lines, '\0');
    leat_http_answer(c, status, content_type, lines.at,
                     compressed->len > 0 ? leat_buf_view(compressed) : plain);
    leat_buf_close(&lines);
}

static void free_job(job *j)
{
    free(j->content_type);
    leat_buf_close(&j->headers);
    leat_buf_close(&j->body);
    leat_buf_close(&j->out);
    free(j);
}

/* On the thread pool. */
static void compress_body(uv_work_t *work)
{
    job *j = LEAT_CONTAINER_OF(work, job, work);
    compress(j->level, leat_buf_view(&j->body), &j->out);
}

static void on_compressed(uv_work_t *work, int status)
{
    (void)status; /* nothing cancels it */
    job *j = LEAT_CONTAINER_OF(work, job, work);
    if (j->conn != NULL)
        answer(j->conn, j->status, j->content_type, j->headers.at, leat_buf_view(&j->body),
               &j->out);
    free_job(j);
}

static void on_cancel(void *arg)
{
    job *j = arg;
    j->conn = NULL; /* the thread pool still works on it */
}

static void start_job(leat_http_conn *c, int level, int status, const char *content_type,
                      const char *headers, leat_slice body)
{
    job *j = leat_calloc(1, sizeof(*j));
    leat_http_side *side = leat_http_conn_side(c);
    j->conn = c;
    j->level = level;
    j->status = status;
    j->content_type = leat_strdup(content_type);
    leat_buf_append(&j->headers, headers, strlen(headers) + 1);
    leat_buf_slice(&j->body, body);
    leat_http_conn_set_task(c, (leat_http_task){.cancel = on_cancel, .arg = j});
    leat_http_conn_hold(c, 2 * body.len); /* and what comes out */
    int err = uv_queue_work(leat_loop_uv(side->loop), &j->work, compress_body, on_compressed);
    LEAT_ASSERT(err == 0); /* fails only without a function to run */
}

void leat_http_compress_answer(leat_http_conn *c, int status, const char *content_type,
                               const char *headers, leat_slice body)
{
    int level = (int)leat_http_conn_side(c)->options->policy->gzip_level;
    if (!may_compress(c, status, content_type, headers, body)) {
        leat_http_answer(c, status, content_type, headers, body);
        return;
    }
    bool wanted = is_wanted(leat_http_conn_request(c));
    if (wanted && body.len > MAX_AT_ONCE) {
        start_job(c, level, status, content_type, headers, body);
        return;
    }
    leat_buf out = LEAT_BUF_INIT;
    if (wanted)
        compress(level, body, &out);
    answer(c, status, content_type, headers, body, &out);
    leat_buf_close(&out);
}
