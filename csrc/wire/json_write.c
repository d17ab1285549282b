/* Writing JSON. */
#include "wire/json.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "wire/json_plain.h"

/* What stands for a byte in a string: 0 itself, 'u' a \u00XX escape, else the letter behind the
 * backslash. */
static const char escapes[256] = {
    'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'b',         't',           'n', 'u',
    'f', 'r', 'u', 'u', 'u', 'u', 'u', 'u', 'u',         'u',           'u', 'u',
    'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', ['"'] = '"', ['\\'] = '\\',
};

static void append_escape(leat_buf *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    char *at = leat_buf_reserve(out, 6);
    at[0] = '\\';
    at[1] = escapes[c];
    if (escapes[c] != 'u') {
        out->len += 2;
        return;
    }
    at[2] = at[3] = '0';
    at[4] = hex[c >> 4];
    at[5] = hex[c & 15];
    out->len += 6;
}

/* Returns the first byte from at that is written in another form, or end. The text is valid. */
static const char *skip_verbatim(const char *at, const char *end)
{
    while ((at = leat_json_skip_plain(at, end)) < end && (unsigned char)*at >= 0x80)
        do
            at++;
        while (at < end && (unsigned char)*at >= 0x80);
    return at;
}

int leat_json_write_string(leat_buf *out, leat_slice text)
{
    if (text.len == 0) {
        leat_buf_text(out, "\"\"");
        return 0;
    }
    const char *end = text.at + text.len;
    const char *at = leat_json_skip_plain(text.at, end);
    if (at < end && !leat_utf8_valid(at, (size_t)(end - at)))
        return LEAT_EBADMSG;
    leat_buf_reserve(out, text.len + 2);
    leat_buf_char(out, '"');
    const char *from = text.at;
    while ((at = skip_verbatim(at, end)) < end) {
        leat_buf_append(out, from, (size_t)(at - from));
        append_escape(out, (unsigned char)*at);
        from = ++at;
    }
    leat_buf_append(out, from, (size_t)(end - from));
    leat_buf_char(out, '"');
    return 0;
}

void leat_json_write_int(leat_buf *out, int64_t n)
{
    leat_buf_int(out, n);
}

/* Whether the digits lie nearer to n than to any other double. Midway between two is not enough,
 * though it may read back to n: Postgres does not write 1e23 for 9.999999999999999e22 either. */
static bool is_nearest(const char *digits, double n)
{
    if (strtod(digits, NULL) != n)
        return false;
    long double there = strtold(digits, NULL);
    long double below = ((long double)n + nextafter(n, -INFINITY)) / 2;
    long double above = ((long double)n + nextafter(n, INFINITY)) / 2;
    return below < there && there < above;
}

/* Writes n with as few digits as stand for it. 15 digits survive in any normal double, so that
 * fewer need not be tried; a subnormal one holds less. */
static int shortest(char *out, size_t size, double n)
{
    int len = 0;
    for (int digits = fabs(n) < DBL_MIN ? 1 : DBL_DIG; digits <= DBL_DECIMAL_DIG; digits++) {
        len = snprintf(out, size, "%.*g", digits, n);
        if (is_nearest(out, n))
            break;
    }
    return len;
}

int leat_json_write_double(leat_buf *out, double n)
{
    if (!isfinite(n))
        return LEAT_EBADMSG;
    char digits[40];
    int len = shortest(digits, sizeof(digits), n);
    bool is_float = false;
    for (int i = 0; i < len; i++) {
        char c = digits[i];
        if ((c < '0' || c > '9') && c != '-' && c != '+' && c != 'e')
            digits[i] = '.'; /* whatever the host's locale made of it */
        is_float = is_float || digits[i] == '.' || c == 'e';
    }
    leat_buf_append(out, digits, (size_t)len);
    if (!is_float)
        leat_buf_text(out, ".0");
    return 0;
}

void leat_json_write_text(leat_buf *out, leat_slice text)
{
    if (leat_json_write_string(out, text) == 0)
        return;
    leat_buf clean = LEAT_BUF_INIT;
    for (size_t i = 0; i < text.len; i++)
        leat_buf_char(&clean, (unsigned char)text.at[i] < 0x80 ? text.at[i] : '?');
    int err = leat_json_write_string(out, leat_buf_view(&clean));
    LEAT_ASSERT(err == 0);
    leat_buf_close(&clean);
}

void leat_json_copy_line(char *to, leat_slice json)
{
    static const char breaks[] = {'\n', '\r'};
    memcpy(to, json.at, json.len);
    for (size_t i = 0; i < sizeof(breaks); i++) {
        char *end = to + json.len;
        char *at = to;
        while ((at = memchr(at, breaks[i], (size_t)(end - at))) != NULL)
            *at++ = ' ';
    }
}

void leat_json_append_line(leat_buf *out, leat_slice json)
{
    leat_json_copy_line(leat_buf_reserve(out, json.len + 1), json);
    out->len += json.len;
}
