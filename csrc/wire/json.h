/* json.h - the wire's JSON: strict reading (RFC 8259), exact writing.
 *
 * Ownership  a reader borrows its text; slices it returns point into the text or into the scratch
 *            buffer that the caller passes. A writer appends to the caller's leat_buf.
 * Threads    any.
 * Units      bytes; depth counts open arrays and objects.
 * Errors     LEAT_EBADMSG with a reason and an offset in the reader.
 *
 * Strict: no comments, no trailing commas, no NaN, no leading zeros, valid UTF-8 only, no lone
 * surrogates in \u escapes, nothing but white space after the value, bounded depth. Numbers are
 * kept as text, so that no digit is lost; leat_json_int says whether one is an exact int64.
 */
#ifndef LEAT_WIRE_JSON_H
#define LEAT_WIRE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#define LEAT_JSON_MAX_DEPTH 128

typedef enum leat_json_token {
    LEAT_JSON_END, /* the text is finished */
    LEAT_JSON_NULL,
    LEAT_JSON_TRUE,
    LEAT_JSON_FALSE,
    LEAT_JSON_NUMBER, /* text: its digits */
    LEAT_JSON_STRING, /* text: decoded */
    LEAT_JSON_KEY,    /* text: decoded; its value follows */
    LEAT_JSON_OBJECT_BEGIN,
    LEAT_JSON_OBJECT_END,
    LEAT_JSON_ARRAY_BEGIN,
    LEAT_JSON_ARRAY_END,
} leat_json_token;

typedef struct leat_json_reader {
    const char *at;
    const char *begin;
    const char *end;
    leat_buf *scratch;  /* strings with escapes are decoded into it */
    const char *reason; /* of the first error, static */
    leat_slice text;    /* of KEY, STRING and NUMBER; valid until the next call */
    uint32_t depth;
    uint32_t max_depth;
    size_t values_left; /* that may still begin; the text alone bounds them unless the caller does.
                           A number with an exponent counts as one more for each 32 digits of it */
    int state_;
    const char *token_; /* where the last value began */
    uint64_t is_array_[(LEAT_JSON_MAX_DEPTH + 63) / 64];
} leat_json_reader;

/* scratch is borrowed for the reader's life, and emptied whenever a string with escapes is decoded;
 * max_depth is at most LEAT_JSON_MAX_DEPTH. */
void leat_json_reader_init(leat_json_reader *r, leat_slice text, leat_buf *scratch,
                           uint32_t max_depth);

/* Returns 0 and writes the next token, or LEAT_EBADMSG; LEAT_ETOOLARGE if values_left is used up.
 */
LEAT_MUST_CHECK int leat_json_next(leat_json_reader *r, leat_json_token *token);

/* Where a value stands next: reads it whole, validated, and returns it as written in *raw. Its
 * strings are not decoded, so that this is the cheap way past what nobody looks into. */
LEAT_MUST_CHECK int leat_json_skip(leat_json_reader *r, leat_slice *raw);

/* Offset in bytes of the error, for messages. */
size_t leat_json_offset(const leat_json_reader *r);

/* Whether a number token is an integer that fits; "1.0", "1e3" and "-0" do not. */
bool leat_json_int(leat_slice number, int64_t *out);

/* Whether the text has the form of a JSON number. */
bool leat_json_is_number(leat_slice text);

/* Decodes a string as leat_json_skip returned it. Text without escapes stays where it is; the rest
 * is appended to scratch, which has room for it already: what was decoded before does not move. */
leat_slice leat_json_decode(leat_slice raw, leat_buf *scratch);

/* Validates a whole text. */
LEAT_MUST_CHECK int leat_json_validate(leat_slice text, uint32_t max_depth);

/* Writers. A string must be valid UTF-8, or LEAT_EBADMSG is returned and nothing appended. Only
 * what RFC 8259 demands is escaped: quote, backslash, control characters. */
LEAT_MUST_CHECK int leat_json_write_string(leat_buf *out, leat_slice text);
/* The same for any bytes: what is not UTF-8 is written with '?'. */
void leat_json_write_text(leat_buf *out, leat_slice text);
/* Copies JSON as one line. Ready-made JSON may have line breaks between its tokens (inside strings
 * they are escaped): as spaces they mean the same. */
void leat_json_copy_line(char *to, leat_slice json);
void leat_json_append_line(leat_buf *out, leat_slice json);
void leat_json_write_int(leat_buf *out, int64_t n);
/* The shortest text that reads back as the same double, always with '.', 'e' or both ("1.0"), so
 * that a float stays a float. NaN and infinities: LEAT_EBADMSG. */
LEAT_MUST_CHECK int leat_json_write_double(leat_buf *out, double n);

#endif
