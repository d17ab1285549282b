/* Which pages may read an answer follows from allowed_origins. A listed origin is named in the
 * answer, and may send cookies if the operator says so; one that only the star lets in reads what
 * anybody may read, so it gets the star and sends no cookies. */
#include "http/http_headers.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "wire/http_head.h"

static const char *const page_names[LEAT_HTTP_PAGE_HEADERS] = {
    [LEAT_HTTP_PAGE_CSP] = "Content-Security-Policy",
    [LEAT_HTTP_PAGE_TYPE_OPTIONS] = "X-Content-Type-Options",
    [LEAT_HTTP_PAGE_FRAME_OPTIONS] = "X-Frame-Options",
    [LEAT_HTTP_PAGE_REFERRER_POLICY] = "Referrer-Policy",
    [LEAT_HTTP_PAGE_PERMISSIONS_POLICY] = "Permissions-Policy",
    [LEAT_HTTP_PAGE_HSTS] = "Strict-Transport-Security",
};

leat_slice leat_http_headers_find(const char *lines, const char *name)
{
    size_t len = strlen(name);
    while (lines != NULL && *lines != '\0') {
        size_t line_len = strcspn(lines, "\r\n");
        if (line_len > len && strncasecmp(lines, name, len) == 0 && lines[len] == ':')
            return leat_http_head_trim((leat_slice){lines + len + 1, line_len - len - 1});
        lines += line_len;
        lines += strspn(lines, "\r\n");
    }
    return (leat_slice){NULL, 0};
}

static bool have(const char *lines, const char *name)
{
    return leat_http_headers_find(lines, name).at != NULL;
}

static void write_unless(leat_buf *out, const char *own, const char *name, const char *value)
{
    if (value[0] != '\0' && !have(own, name))
        leat_buf_printf(out, "%s: %s\r\n", name, value);
}

static const leat_http_options *options_of(leat_http_conn *c)
{
    return leat_http_conn_side(c)->options;
}

/* Over plain HTTP, Strict-Transport-Security says nothing (RFC 6797 §7.2). */
static bool is_sent(leat_http_conn *c, size_t header)
{
    bool encrypted = leat_http_conn_door(c) == LEAT_HTTP_DOOR_TLS;
    return strcmp(options_of(c)->policy->page[header], "off") != 0 &&
           (header != LEAT_HTTP_PAGE_HSTS || encrypted);
}

static void write_page(leat_buf *out, leat_http_conn *c, const char *own)
{
    for (size_t i = 0; i < LEAT_HTTP_PAGE_HEADERS; i++)
        if (is_sent(c, i))
            write_unless(out, own, page_names[i], options_of(c)->policy->page[i]);
}

/* The line that names who may read the answer. Nothing is written if nobody may. */
static void write_origin(leat_buf *out, leat_http_conn *c, leat_http_origin origin)
{
    if (origin == LEAT_HTTP_ORIGIN_ANY)
        leat_buf_text(out, "Access-Control-Allow-Origin: *\r\n");
    if (origin != LEAT_HTTP_ORIGIN_LISTED)
        return;
    leat_buf_text(out, "Access-Control-Allow-Origin: ");
    leat_buf_slice(out, leat_http_find(leat_http_conn_request(c), "origin"));
    leat_buf_text(out, "\r\n");
    if (options_of(c)->policy->cors_credentials)
        leat_buf_text(out, "Access-Control-Allow-Credentials: true\r\n");
}

static leat_http_origin find_origin(leat_http_conn *c)
{
    return leat_http_peer_origin(leat_http_conn_peer(c), leat_http_conn_request(c),
                                 options_of(c)->allowed_origins);
}

/* A script that decides for itself who may read decides about all of it. */
static void write_cors(leat_buf *out, leat_http_conn *c, const char *own)
{
    const char *allowed = options_of(c)->allowed_origins;
    if (!leat_http_conn_is_shared(c) || allowed[0] == '\0' ||
        have(own, "Access-Control-Allow-Origin"))
        return;
    /* Caches keep one answer for each origin, unless all get the same. */
    if (strcmp(allowed, "*") != 0)
        leat_buf_text(out, "Vary: Origin\r\n");
    leat_http_origin origin = find_origin(c);
    write_origin(out, c, origin);
    if (origin == LEAT_HTTP_ORIGIN_LISTED || origin == LEAT_HTTP_ORIGIN_ANY)
        write_unless(out, own, "Access-Control-Expose-Headers", options_of(c)->policy->cors_expose);
}

void leat_http_headers_write(leat_buf *out, leat_http_conn *c, const char *own)
{
    if (own != NULL)
        leat_buf_text(out, own);
    write_page(out, c, own);
    write_cors(out, c, own);
    leat_buf_char(out, '\0');
}

/* --- preflights --- */

bool leat_http_headers_is_preflight(const leat_http_request *r)
{
    return leat_slice_is(r->method, "OPTIONS") && leat_http_find(r, "origin").at != NULL &&
           leat_http_find(r, "access-control-request-method").at != NULL;
}

void leat_http_headers_write_preflight(leat_buf *out, leat_http_conn *c, leat_slice methods)
{
    const leat_http_policy *policy = options_of(c)->policy;
    leat_buf_text(out, "Access-Control-Allow-Methods: ");
    leat_buf_slice(out, methods);
    leat_buf_text(out, "\r\n");
    write_unless(out, NULL, "Access-Control-Allow-Headers", policy->cors_headers);
    leat_buf_printf(out, "Access-Control-Max-Age: %" PRIu64 "\r\n", policy->cors_max_age_s);
}
