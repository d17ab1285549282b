/* http_policy.h - what an operator decides about the headers of answers.
 *
 * Ownership  embedded in the configuration, which owns the texts.
 * Threads    read-only once the server runs.
 * Units      seconds, bytes.
 * Errors     none.
 */
#ifndef LEAT_HTTP_HTTP_POLICY_H
#define LEAT_HTTP_HTTP_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Headers of every answer that does not set them itself. */
typedef enum leat_http_page_header {
    LEAT_HTTP_PAGE_CSP,
    LEAT_HTTP_PAGE_TYPE_OPTIONS,
    LEAT_HTTP_PAGE_FRAME_OPTIONS,
    LEAT_HTTP_PAGE_REFERRER_POLICY,
    LEAT_HTTP_PAGE_PERMISSIONS_POLICY,
    LEAT_HTTP_PAGE_HSTS, /* by TLS only */
    LEAT_HTTP_PAGE_HEADERS,
} leat_http_page_header;

typedef struct leat_http_policy {
    char *page[LEAT_HTTP_PAGE_HEADERS]; /* "" or "off": not sent */
    char *cors_headers;                 /* that a page of another origin may send */
    char *cors_expose;                  /* that it may read */
    uint64_t cors_max_age_s;            /* of a preflight's answer */
    bool cors_credentials;              /* pages of listed origins may send cookies */
    uint64_t gzip_level;                /* 0: nothing is compressed */
    size_t gzip_min_bytes;              /* shorter contents are sent as they are */
    size_t gzip_cache_bytes;            /* of compressed files in memory, of all workers */
} leat_http_policy;

#endif
