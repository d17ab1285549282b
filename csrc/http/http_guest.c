#include "http/http_guest.h"

#include <stdlib.h>

#include "base/mem.h"
#include "http/http_answer.h"

enum { RETRY_AFTER_MS = 1000 };

struct leat_http_guest {
    leat_http_side *side;
    size_t bytes;
};

/* The head, which its session keeps, and the message that it may send. */
static size_t bytes_of(leat_http_conn *c)
{
    const leat_http_request *r = leat_http_conn_request(c);
    size_t bytes = leat_http_conn_side(c)->limits->max_first_message_bytes + r->target.len;
    for (size_t i = 0; i < r->n_headers; i++)
        bytes += r->headers[i].name.len + r->headers[i].value.len;
    return bytes;
}

static bool is_full(leat_http_conn *c)
{
    const leat_http_side *side = leat_http_conn_side(c);
    return side->n_unauthenticated >= side->options->max_unauthenticated ||
           leat_http_side_full(side, LEAT_HTTP_POT_GUESTS, bytes_of(c));
}

static leat_http_guest_answer refuse(leat_http_conn *c, int status, const char *code,
                                     const char *message, uint32_t retry_after_ms)
{
    leat_http_answer_refusal(c, status, code, leat_slice_of(message), retry_after_ms, NULL);
    return LEAT_HTTP_GUEST_REFUSED;
}

leat_http_guest_answer leat_http_guest_admit(leat_http_conn *c)
{
    const leat_http_side *side = leat_http_conn_side(c);
    if (side->options->max_unauthenticated == 0)
        return refuse(c, 403, "forbidden",
                      "this server takes no token from a message (max_unauthenticated)", 0);
    if (!is_full(c))
        return LEAT_HTTP_GUEST_WELCOME;
    leat_metrics_add(side->metrics, LEAT_M_AUTHENTICATION_FULL, 1);
    return refuse(c, 503, "unavailable", "too many clients are not yet authenticated",
                  RETRY_AFTER_MS);
}

static leat_http_guest_answer decide(leat_http_conn *c, leat_slice value)
{
    if (!leat_slice_is(value, "message"))
        return refuse(c, 400, "bad_request", "authenticate can be \"message\" only", 0);
    return leat_http_guest_admit(c);
}

leat_http_guest_answer leat_http_guest_asks(leat_http_conn *c)
{
    leat_buf value = LEAT_BUF_INIT;
    leat_slice query = leat_http_conn_request(c)->query;
    leat_http_guest_answer answer = LEAT_HTTP_GUEST_NOT;
    if (query.at != NULL && leat_http_query_get(query, "authenticate", &value))
        answer = decide(c, leat_buf_view(&value));
    leat_buf_close(&value);
    return answer;
}

leat_http_guest *leat_http_guest_new(leat_http_conn *c)
{
    leat_http_guest *g = leat_calloc(1, sizeof(*g));
    g->side = leat_http_conn_side(c);
    g->bytes = bytes_of(c);
    g->side->n_unauthenticated++;
    leat_http_side_count(g->side, LEAT_HTTP_POT_GUESTS, 0, g->bytes);
    return g;
}

void leat_http_guest_end(void *guest)
{
    leat_http_guest *g = guest;
    g->side->n_unauthenticated--;
    leat_http_side_count(g->side, LEAT_HTTP_POT_GUESTS, g->bytes, 0);
    free(g);
}
