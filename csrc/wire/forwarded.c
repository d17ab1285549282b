/* Elements are written in the order in which the proxies added them, ours last. All are walked; a
 * ring of the last few is kept, and turned round at the end. */
#include "wire/forwarded.h"

#include <string.h>
#include <strings.h>

#include "wire/http_head.h"

static const leat_slice absent = {NULL, 0};

/* Headers by which proxies and delivery networks say that they pass somebody on. */
static bool tells_of_proxy(leat_slice name)
{
    static const char *const names[] = {
        "forwarded",        "via",
        "x-real-ip",        "client-ip",
        "x-client-ip",      "x-cluster-client-ip",
        "true-client-ip",   "cf-connecting-ip",
        "fastly-client-ip", "fly-client-ip",
        "cdn-loop",         "x-original-forwarded-for",
        "x-originating-ip", "x-envoy-external-address",
    };
    static const char prefix[] = "x-forwarded-";
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (leat_slice_is(name, names[i]))
            return true;
    return name.len >= sizeof(prefix) - 1 && memcmp(name.at, prefix, sizeof(prefix) - 1) == 0;
}

bool leat_forwarded_any(const leat_http_request *r)
{
    for (size_t i = 0; i < r->n_headers; i++)
        if (tells_of_proxy(r->headers[i].name))
            return true;
    return false;
}

/* --- lists --- */

/* Cuts the text before the next separator off *rest; with quotes, separators within double quotes
 * do not count, and a quote that does not end takes the rest. False at the end. */
static bool next_part(leat_slice *rest, char separator, bool quotes, leat_slice *part)
{
    bool quoted = false;
    size_t i = 0;
    if (rest->at == NULL)
        return false;
    for (; i < rest->len; i++) {
        char c = rest->at[i];
        if (quotes && c == '"')
            quoted = !quoted;
        else if (quoted && c == '\\' && i + 1 < rest->len)
            i++;
        else if (!quoted && c == separator)
            break;
    }
    *part = leat_http_head_trim((leat_slice){rest->at, i});
    *rest = i < rest->len ? (leat_slice){rest->at + i + 1, rest->len - i - 1} : absent;
    return true;
}

/* False if a quote has no end. A client may have begun it so that it swallows the separator that
 * the proxy writes: what it wrote before must then not count as the proxy's word. */
static bool quotes_end(leat_slice element)
{
    bool quoted = false;
    for (size_t i = 0; i < element.len; i++) {
        if (element.at[i] == '"')
            quoted = !quoted;
        else if (quoted && element.at[i] == '\\')
            i++;
    }
    return !quoted;
}

/* A token, or a quoted string without escapes: addresses and hosts need none. */
static leat_slice unquote(leat_slice value)
{
    if (value.len == 0 || value.at[0] != '"')
        return value;
    if (value.len < 2 || value.at[value.len - 1] != '"')
        return absent;
    value = (leat_slice){value.at + 1, value.len - 2};
    bool plain =
        memchr(value.at, '\\', value.len) == NULL && memchr(value.at, '"', value.len) == NULL;
    return plain ? value : absent;
}

/* A parameter of one element of Forwarded; one that comes twice, or in an element whose quotes do
 * not end, is malformed, and so absent. */
static leat_slice param_of(leat_slice element, const char *name)
{
    leat_slice found = absent;
    leat_slice pair;
    size_t n = 0;
    if (!quotes_end(element))
        return absent;
    while (next_part(&element, ';', true, &pair)) {
        const char *equals = pair.len == 0 ? NULL : memchr(pair.at, '=', pair.len);
        if (equals == NULL)
            continue;
        size_t len = (size_t)(equals - pair.at);
        if (!leat_http_head_is_word((leat_slice){pair.at, len}, name))
            continue;
        found = unquote((leat_slice){equals + 1, pair.len - len - 1});
        n++;
    }
    return n == 1 ? found : absent;
}

/* --- hops --- */

struct ring {
    leat_slice last[LEAT_FORWARDED_HOPS];
    size_t count;
};

static void add(struct ring *ring, leat_slice text)
{
    ring->last[ring->count++ % LEAT_FORWARDED_HOPS] = text;
}

/* Empty elements of a list count for nothing (RFC 9110 §5.6.1). But a header that has no others
 * tells of a hop that is not known. */
static void gather(struct ring *ring, const leat_http_request *r, const char *name,
                   const char *param)
{
    bool is_there = false;
    for (size_t i = 0; i < r->n_headers; i++) {
        leat_slice rest = r->headers[i].value;
        leat_slice item;
        if (!leat_slice_is(r->headers[i].name, name))
            continue;
        is_there = true;
        /* Only Forwarded knows quotes. Elsewhere one that a client began must not swallow what the
         * proxy added. */
        while (next_part(&rest, ',', param != NULL, &item))
            if (item.len > 0)
                add(ring, param == NULL ? item : param_of(item, param));
    }
    if (is_there && ring->count == 0)
        add(ring, absent);
}

size_t leat_forwarded_hops(const leat_http_request *r, leat_slice hops[LEAT_FORWARDED_HOPS])
{
    struct ring ring = {.count = 0};
    gather(&ring, r, "x-forwarded-for", NULL);
    if (ring.count == 0)
        gather(&ring, r, "forwarded", "for");
    size_t n = ring.count < LEAT_FORWARDED_HOPS ? ring.count : LEAT_FORWARDED_HOPS;
    for (size_t i = 0; i < n; i++)
        hops[i] = ring.last[(ring.count - 1 - i) % LEAT_FORWARDED_HOPS];
    return n;
}

/* --- host --- */

static leat_slice last_of(const leat_http_request *r, const char *name, const char *param)
{
    struct ring ring = {.count = 0};
    gather(&ring, r, name, NULL);
    if (ring.count == 0)
        gather(&ring, r, "forwarded", param);
    return ring.count == 0 ? absent : ring.last[(ring.count - 1) % LEAT_FORWARDED_HOPS];
}

leat_slice leat_forwarded_host(const leat_http_request *r)
{
    return last_of(r, "x-forwarded-host", "host");
}
