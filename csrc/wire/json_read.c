/* Reading JSON: a pull parser without recursion. leat_json_next looks at what the state allows here
 * and reads one token; the open arrays and objects are a bit each. Strings are scanned in words of
 * eight bytes and copied only if they hold escapes and somebody wants them decoded. */
#include "wire/json.h"

#include "base/utf8.h"
#include "wire/json_plain.h"

enum {
    DIGITS_OF_A_VALUE = 32, /* a number with an exponent counts as a value for so many digits */
    MAX_EXPONENT = 1 << 24, /* that is looked at */
};

enum state {
    WANT_VALUE,
    WANT_FIRST_ELEMENT, /* after '[' */
    WANT_FIRST_KEY,     /* after '{' */
    AFTER_VALUE,
    FAILED,
};

static int fail(leat_json_reader *r, const char *at, const char *reason)
{
    r->at = at;
    r->reason = reason;
    r->state_ = FAILED;
    return LEAT_EBADMSG;
}

static bool in_array(const leat_json_reader *r)
{
    uint32_t i = r->depth - 1;
    return (r->is_array_[i / 64] >> (i % 64) & 1) != 0;
}

static int open_container(leat_json_reader *r, bool array)
{
    if (r->depth >= r->max_depth)
        return fail(r, r->at, "nested too deeply");
    uint64_t bit = (uint64_t)1 << (r->depth % 64);
    if (array)
        r->is_array_[r->depth / 64] |= bit;
    else
        r->is_array_[r->depth / 64] &= ~bit;
    r->depth++;
    r->at++;
    r->state_ = array ? WANT_FIRST_ELEMENT : WANT_FIRST_KEY;
    return 0;
}

static void close_container(leat_json_reader *r, leat_json_token *token)
{
    *token = in_array(r) ? LEAT_JSON_ARRAY_END : LEAT_JSON_OBJECT_END;
    r->depth--;
    r->at++;
    r->state_ = AFTER_VALUE;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The four hex digits at at, or -1. */
static int32_t hex4(const char *at, const char *end)
{
    if (end - at < 4)
        return -1;
    int32_t value = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_value(at[i]);
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* Checks the \u escape whose backslash is at at; returns what follows it, NULL if it is bad. A high
 * surrogate takes the escape of its low one with it. */
static const char *check_unicode(leat_json_reader *r, const char *at)
{
    int32_t first = hex4(at + 2, r->end);
    if (first < 0) {
        fail(r, at, "malformed \\u escape");
        return NULL;
    }
    if (first < 0xd800 || first > 0xdfff)
        return at + 6;
    if (first < 0xdc00 && r->end - at >= 8 && at[6] == '\\' && at[7] == 'u') {
        int32_t second = hex4(at + 8, r->end);
        if (second >= 0xdc00 && second <= 0xdfff)
            return at + 12;
    }
    fail(r, at, "lone surrogate in a \\u escape");
    return NULL;
}

static const char *check_escape(leat_json_reader *r, const char *at)
{
    if (r->end - at < 2) {
        fail(r, r->end, "unterminated string");
        return NULL;
    }
    switch (at[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return at + 2;
    case 'u':
        return check_unicode(r, at);
    default:
        fail(r, at, "unknown escape in a string");
        return NULL;
    }
}

/* A run of bytes above ASCII is valid UTF-8 or not whatever stands around it. */
static const char *check_non_ascii(leat_json_reader *r, const char *at)
{
    const char *run = at;
    while (at < r->end && (unsigned char)*at >= 0x80)
        at++;
    if (leat_utf8_valid(run, (size_t)(at - run)))
        return at;
    fail(r, run, "invalid UTF-8");
    return NULL;
}

/* Reads the string whose opening quote is at r->at; *raw is what lies between the quotes. */
static int scan_string(leat_json_reader *r, leat_slice *raw, bool *escaped)
{
    const char *begin = r->at + 1;
    const char *at = begin;
    *escaped = false;
    for (;;) {
        at = leat_json_skip_plain(at, r->end);
        if (at == r->end)
            return fail(r, at, "unterminated string");
        if (*at == '"')
            break;
        if (*at == '\\') {
            *escaped = true;
            at = check_escape(r, at);
        } else if ((unsigned char)*at < 0x20) {
            return fail(r, at, "control character in a string");
        } else {
            at = check_non_ascii(r, at);
        }
        if (at == NULL)
            return LEAT_EBADMSG;
    }
    *raw = (leat_slice){begin, (size_t)(at - begin)};
    r->at = at + 1;
    return 0;
}

static size_t encode_utf8(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* Decodes the escape at *at, which scan_string has checked, and moves *at behind it. */
static size_t decode_escape(char *out, const char **at, const char *end)
{
    const char *p = *at;
    *at = p + 2;
    switch (p[1]) {
    case 'b':
        *out = '\b';
        return 1;
    case 'f':
        *out = '\f';
        return 1;
    case 'n':
        *out = '\n';
        return 1;
    case 'r':
        *out = '\r';
        return 1;
    case 't':
        *out = '\t';
        return 1;
    case 'u':
        break;
    default: /* quote, backslash, slash */
        *out = p[1];
        return 1;
    }
    uint32_t c = (uint32_t)hex4(p + 2, end);
    *at = p + 6;
    if (c >= 0xd800 && c <= 0xdbff) {
        uint32_t low = (uint32_t)hex4(p + 8, end);
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        *at = p + 12;
    }
    return encode_utf8(out, c);
}

/* No escape is shorter than what it stands for, so the raw length is room enough. */
static leat_slice decode_string(leat_buf *scratch, leat_slice raw)
{
    scratch->len = 0;
    char *out = leat_buf_reserve(scratch, raw.len);
    const char *at = raw.at;
    const char *end = raw.at + raw.len;
    while (at < end) {
        const char *escape = memchr(at, '\\', (size_t)(end - at));
        size_t plain = (size_t)((escape == NULL ? end : escape) - at);
        memcpy(out, at, plain);
        out += plain;
        at += plain;
        if (escape != NULL)
            out += decode_escape(out, &at, end);
    }
    scratch->len = (size_t)(out - scratch->at);
    return leat_buf_view(scratch);
}

static int read_string(leat_json_reader *r, bool decode)
{
    bool escaped = false;
    int err = scan_string(r, &r->text, &escaped);
    if (err < 0)
        return err;
    if (decode && escaped)
        r->text = decode_string(r->scratch, r->text);
    return 0;
}

static void skip_space(leat_json_reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t'))
        r->at++;
}

static int read_key(leat_json_reader *r, leat_json_token *token, bool decode)
{
    if (r->at == r->end || *r->at != '"')
        return fail(r, r->at, "expected a member name in quotes");
    int err = read_string(r, decode);
    if (err < 0)
        return err;
    skip_space(r);
    if (r->at == r->end || *r->at != ':')
        return fail(r, r->at, "expected ':'");
    r->at++;
    r->state_ = WANT_VALUE;
    *token = LEAT_JSON_KEY;
    return 0;
}

static bool is_digit(const char *at, const char *end)
{
    return at < end && *at >= '0' && *at <= '9';
}

static const char *skip_digits(const char *at, const char *end)
{
    while (is_digit(at, end))
        at++;
    return at;
}

static int refuse_values(leat_json_reader *r)
{
    fail(r, r->at, "too many values");
    return LEAT_ETOOLARGE;
}

/* "1e131000" has few bytes, and 131,000 digits where it is written out, as Postgres does. So it
 * counts as many values. */
static int spend_exponent(leat_json_reader *r, const char *digits, const char *end)
{
    size_t exponent = 0;
    for (const char *at = digits; at < end && exponent < MAX_EXPONENT; at++)
        exponent = exponent * 10 + (size_t)(*at - '0');
    if (exponent / DIGITS_OF_A_VALUE > r->values_left)
        return refuse_values(r);
    r->values_left -= exponent / DIGITS_OF_A_VALUE;
    return 0;
}

static int read_number(leat_json_reader *r)
{
    const char *at = r->at;
    if (*at == '-')
        at++;
    if (!is_digit(at, r->end))
        return fail(r, at, "malformed number");
    at = *at == '0' ? at + 1 : skip_digits(at, r->end);
    if (is_digit(at, r->end))
        return fail(r, at, "a number must not begin with 0");
    if (at < r->end && *at == '.') {
        if (!is_digit(at + 1, r->end))
            return fail(r, at + 1, "malformed number");
        at = skip_digits(at + 1, r->end);
    }
    if (at < r->end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < r->end && (*at == '+' || *at == '-'))
            at++;
        if (!is_digit(at, r->end))
            return fail(r, at, "malformed number");
        const char *digits = at;
        at = skip_digits(at, r->end);
        int err = spend_exponent(r, digits, at);
        if (err < 0)
            return err;
    }
    r->text = (leat_slice){r->at, (size_t)(at - r->at)};
    r->at = at;
    return 0;
}

static int read_literal(leat_json_reader *r, const char *word, size_t len)
{
    if ((size_t)(r->end - r->at) < len || memcmp(r->at, word, len) != 0)
        return fail(r, r->at, "expected a value");
    r->at += len;
    return 0;
}

static int read_scalar(leat_json_reader *r, leat_json_token *token, bool decode)
{
    switch (*r->at) {
    case '"':
        *token = LEAT_JSON_STRING;
        return read_string(r, decode);
    case 't':
        *token = LEAT_JSON_TRUE;
        return read_literal(r, "true", 4);
    case 'f':
        *token = LEAT_JSON_FALSE;
        return read_literal(r, "false", 5);
    case 'n':
        *token = LEAT_JSON_NULL;
        return read_literal(r, "null", 4);
    default:
        if (*r->at != '-' && !is_digit(r->at, r->end))
            return fail(r, r->at, "expected a value");
        *token = LEAT_JSON_NUMBER;
        return read_number(r);
    }
}

static int read_value(leat_json_reader *r, leat_json_token *token, bool decode)
{
    if (r->at == r->end)
        return fail(r, r->at, "expected a value");
    if (r->values_left == 0)
        return refuse_values(r);
    r->values_left--;
    r->token_ = r->at;
    if (*r->at == '{' || *r->at == '[') {
        bool array = *r->at == '[';
        *token = array ? LEAT_JSON_ARRAY_BEGIN : LEAT_JSON_OBJECT_BEGIN;
        return open_container(r, array);
    }
    int err = read_scalar(r, token, decode);
    if (err == 0)
        r->state_ = AFTER_VALUE;
    return err;
}

static int read_after_value(leat_json_reader *r, leat_json_token *token, bool decode)
{
    if (r->depth == 0) {
        if (r->at < r->end)
            return fail(r, r->at, "more text after the value");
        *token = LEAT_JSON_END;
        return 0;
    }
    bool array = in_array(r);
    char c = r->at < r->end ? *r->at : '\0';
    if (c == (array ? ']' : '}')) {
        close_container(r, token);
        return 0;
    }
    if (c != ',')
        return fail(r, r->at, array ? "expected ',' or ']'" : "expected ',' or '}'");
    r->at++;
    skip_space(r);
    return array ? read_value(r, token, decode) : read_key(r, token, decode);
}

/* decode: whether strings with escapes are wanted as text, or only checked. */
static int advance(leat_json_reader *r, leat_json_token *token, bool decode)
{
    skip_space(r);
    char c = r->at < r->end ? *r->at : '\0';
    switch ((enum state)r->state_) {
    case WANT_VALUE:
        return read_value(r, token, decode);
    case WANT_FIRST_ELEMENT:
        if (c != ']')
            return read_value(r, token, decode);
        close_container(r, token);
        return 0;
    case WANT_FIRST_KEY:
        if (c != '}')
            return read_key(r, token, decode);
        close_container(r, token);
        return 0;
    case AFTER_VALUE:
        return read_after_value(r, token, decode);
    case FAILED:
        break;
    }
    return LEAT_EBADMSG;
}

void leat_json_reader_init(leat_json_reader *r, leat_slice text, leat_buf *scratch,
                           uint32_t max_depth)
{
    LEAT_ASSERT(max_depth <= LEAT_JSON_MAX_DEPTH);
    *r = (leat_json_reader){
        .scratch = scratch, .max_depth = max_depth, .values_left = SIZE_MAX, .state_ = WANT_VALUE};
    /* An absent text is read as an empty one: pointers stay comparable. */
    r->begin = r->at = text.at == NULL ? "" : text.at;
    r->end = r->begin + text.len;
    r->token_ = r->begin;
}

int leat_json_next(leat_json_reader *r, leat_json_token *token)
{
    leat_json_token found = LEAT_JSON_END;
    int err = r->state_ == FAILED ? LEAT_EBADMSG : advance(r, &found, true);
    if (err == 0)
        *token = found;
    return err;
}

int leat_json_skip(leat_json_reader *r, leat_slice *raw)
{
    leat_json_token token = LEAT_JSON_END;
    uint32_t depth = r->depth;
    int err = r->state_ == FAILED ? LEAT_EBADMSG : advance(r, &token, false);
    if (err < 0)
        return err;
    if (token == LEAT_JSON_END || token == LEAT_JSON_KEY || token == LEAT_JSON_OBJECT_END ||
        token == LEAT_JSON_ARRAY_END)
        return fail(r, r->at, "expected a value");
    const char *begin = r->token_;
    while (r->depth > depth) {
        err = advance(r, &token, false);
        if (err < 0)
            return err;
    }
    *raw = (leat_slice){begin, (size_t)(r->at - begin)};
    return 0;
}

size_t leat_json_offset(const leat_json_reader *r)
{
    return (size_t)(r->at - r->begin);
}

bool leat_json_is_number(leat_slice text)
{
    leat_buf none = LEAT_BUF_INIT; /* only strings need it */
    leat_json_reader r;
    leat_json_token token;
    leat_json_reader_init(&r, text, &none, 1);
    return leat_json_next(&r, &token) == 0 && token == LEAT_JSON_NUMBER &&
           leat_json_next(&r, &token) == 0;
}

bool leat_json_int(leat_slice number, int64_t *out)
{
    const char *at = number.at;
    const char *end = at + number.len;
    bool negative = number.len > 0 && *at == '-';
    if (negative)
        at++;
    if (!is_digit(at, end) || (*at == '0' && number.len > 1))
        return false;
    const uint64_t limit = (uint64_t)INT64_MAX + (negative ? 1 : 0);
    uint64_t value = 0;
    for (; at < end; at++) {
        if (!is_digit(at, end))
            return false;
        uint64_t digit = (uint64_t)(*at - '0');
        if (value > (limit - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

int leat_json_validate(leat_slice text, uint32_t max_depth)
{
    leat_json_reader r;
    leat_json_reader_init(&r, text, NULL, max_depth);
    leat_json_token token = LEAT_JSON_NULL;
    while (token != LEAT_JSON_END) {
        int err = advance(&r, &token, false);
        if (err < 0)
            return err;
    }
    return 0;
}

leat_slice leat_json_decode(leat_slice raw, leat_buf *scratch)
{
    leat_slice inside = {raw.at + 1, raw.len - 2};
    if (memchr(inside.at, '\\', inside.len) == NULL)
        return inside;
    leat_json_reader r;
    leat_json_token token = LEAT_JSON_END;
    leat_buf own = LEAT_BUF_INIT;
    leat_json_reader_init(&r, raw, &own, 1);
    int err = leat_json_next(&r, &token);
    LEAT_ASSERT(err == 0 && token == LEAT_JSON_STRING); /* raw has been validated */
    size_t at = scratch->len;
    leat_buf_slice(scratch, r.text);
    leat_buf_close(&own);
    return (leat_slice){scratch->at + at, scratch->len - at};
}
