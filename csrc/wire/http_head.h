/* http_head.h - the strict part of reading a request head: what llhttp would let through.
 *
 * Ownership  nothing is kept but numbers; lines are borrowed during the call.
 * Threads    any.
 * Units      bytes.
 * Errors     each check returns the HTTP status to answer with, 0 if all is well.
 *
 * The parser calls _request_line for the first line, _field for each of the others, and _end at the
 * empty line; all are given without their CRLF.
 */
#ifndef LEAT_WIRE_HTTP_HEAD_H
#define LEAT_WIRE_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/slice.h"

typedef struct leat_http_head {
    bool secure; /* set before: the connection is encrypted, so a target may be of https */
    int minor;
    size_t n_fields;
    unsigned n_hosts;
    unsigned n_lengths;
    unsigned n_encodings;
    int encoding_status; /* what to answer to its Transfer-Encoding */
    uint64_t content_length;
} leat_http_head;

/* Of "http://" or "https://", in any case, at the beginning; 0 if there is neither. */
size_t leat_http_head_scheme_len(leat_slice target);

int leat_http_head_request_line(leat_http_head *h, leat_slice line);
int leat_http_head_field(leat_http_head *h, leat_slice line);
int leat_http_head_end(const leat_http_head *h, size_t max_body);

/* A field line's form alone: what a trailer is held to. */
int leat_http_head_field_form(leat_slice line);

/* How many digits the size of a chunk has, in the line that begins it: 0 if the line is malformed.
 * Extensions may follow (RFC 9112 §7.1.1). */
size_t leat_http_head_chunk_digits(leat_slice line);

/* A character that may begin a method. */
bool leat_http_head_is_token_char(char c);

/* Whether the text can be a header's name (RFC 9110 §5.6.2), or its value: no control character but
 * the tab, so no line break and no NUL. */
bool leat_http_head_name_ok(leat_slice text);
bool leat_http_head_value_ok(leat_slice text);

/* Reads 1*DIGIT. A number too large for 64 bits counts as the largest. */
bool leat_http_head_number(leat_slice text, uint64_t *out);

/* Compares without case; lower is in lower case. */
static inline bool leat_http_head_is_word(leat_slice s, const char *lower)
{
    return s.len == strlen(lower) && strncasecmp(s.at, lower, s.len) == 0;
}

/* Without the spaces and tabs around it. */
leat_slice leat_http_head_trim(leat_slice s);

#endif
