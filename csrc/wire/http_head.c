/* http_head.c - leat_http_head_request_line, then leat_http_head_field for each field, then
 * leat_http_head_end, as http.c meets them. */
#include "wire/http_head.h"

#include <ctype.h>

/* RFC 9110 §5.6.2. One bit for each character. */
static const uint64_t token_chars[2] = {
    0x03ff6cfa00000000, /* digits, and !#$%&'*+-. */
    0x57ffffffc7fffffe, /* letters, and ^_`|~ */
};

static inline bool is_token_char(char c)
{
    unsigned char code = (unsigned char)c;
    return code < 128 && (token_chars[code / 64] >> (code % 64) & 1) != 0;
}

bool leat_http_head_is_token_char(char c)
{
    return is_token_char(c);
}

leat_slice leat_http_head_trim(leat_slice s)
{
    while (s.len > 0 && (s.at[0] == ' ' || s.at[0] == '\t')) {
        s.at++;
        s.len--;
    }
    while (s.len > 0 && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
        s.len--;
    return s;
}

bool leat_http_head_name_ok(leat_slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_token_char(s.at[i]))
            return false;
    return s.len > 0;
}

bool leat_http_head_value_ok(leat_slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.at[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* How many characters at the beginning a name of a host may have; in brackets, colons, too. */
static size_t name_len(leat_slice text, const char *marks)
{
    size_t len = 0;
    for (; len < text.len; len++) {
        char c = text.at[len];
        if (!is_digit(c) && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
            (c == '\0' || strchr(marks, c) == NULL))
            break;
    }
    return len;
}

/* uri-host [ ":" port ] of RFC 9110 §7.2: brackets only around an address, digits only behind the
 * colon. */
static bool host_ok(leat_slice host)
{
    size_t at = 0;
    if (host.len > 0 && host.at[0] == '[') {
        at = 1 + name_len((leat_slice){host.at + 1, host.len - 1}, "-._~!$&'()*+,;=:");
        if (at == 1 || at == host.len || host.at[at++] != ']')
            return false;
    } else {
        at = name_len(host, "-._~%!$&'()*+,;=");
    }
    if (at < host.len && host.at[at++] != ':')
        return false;
    while (at < host.len && is_digit(host.at[at]))
        at++;
    return at == host.len;
}

/* The authority at the beginning of the text. An empty one, or one with a user's name, is an error
 * (RFC 9110 §4.2.1, §4.2.4). */
static bool authority_ok(leat_slice text)
{
    size_t len = 0;
    while (len < text.len && text.at[len] != '/' && text.at[len] != '?')
        len++;
    return len > 0 && host_ok((leat_slice){text.at, len});
}

size_t leat_http_head_scheme_len(leat_slice target)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t len = strlen(schemes[i]);
        if (target.len >= len && strncasecmp(target.at, schemes[i], len) == 0)
            return len;
    }
    return 0;
}

/* The targets of RFC 9112 §3.2 that we serve: origin-form, and absolute-form (which every server
 * must take) of http; of https over TLS, where alone it may be taken (RFC 9110 §7.4). A fragment is
 * no part of a target. */
static bool target_ok(const leat_http_head *h, leat_slice target)
{
    for (size_t i = 0; i < target.len; i++)
        if (target.at[i] <= ' ' || target.at[i] > '~' || target.at[i] == '#')
            return false;
    if (target.len > 0 && target.at[0] == '/')
        return true;
    size_t n = leat_http_head_scheme_len(target);
    bool of_https = n > strlen("http://");
    return n > 0 && (h->secure || !of_https) &&
           authority_ok((leat_slice){target.at + n, target.len - n});
}

static int check_version(leat_http_head *h, leat_slice version)
{
    const char *at = version.at;
    if (version.len != 8 || memcmp(at, "HTTP/", 5) != 0 || !is_digit(at[5]) || at[6] != '.' ||
        !is_digit(at[7]))
        return 400;
    if (at[5] != '1' || at[7] > '1')
        return 505;
    h->minor = at[7] - '0';
    return 0;
}

int leat_http_head_request_line(leat_http_head *h, leat_slice line)
{
    const char *end = line.at + line.len;
    const char *space = memchr(line.at, ' ', line.len);
    if (space == NULL)
        return 400;
    leat_slice method = {line.at, (size_t)(space - line.at)};
    const char *from = space + 1;
    space = memchr(from, ' ', (size_t)(end - from));
    if (space == NULL) /* HTTP/0.9 has no version */
        return 400;
    leat_slice target = {from, (size_t)(space - from)};
    from = space + 1;
    int status = check_version(h, (leat_slice){from, (size_t)(end - from)});
    if (!leat_http_head_name_ok(method) || status == 400)
        return 400;
    if (status != 0) /* before the target, which another version may write otherwise */
        return status;
    /* Its target is an authority, and we are no proxy. */
    bool connect = leat_slice_is(method, "CONNECT");
    return target_ok(h, target) && !connect ? 0 : 400;
}

/* Splits "Name: value"; false if the line is no field line: no name, white space before the colon,
 * a folded line (it begins with white space), a control character. */
static bool split_field(leat_slice line, leat_slice *name, leat_slice *value)
{
    const char *colon = memchr(line.at, ':', line.len);
    if (colon == NULL)
        return false;
    *name = (leat_slice){line.at, (size_t)(colon - line.at)};
    *value = leat_http_head_trim((leat_slice){colon + 1, line.len - name->len - 1});
    return leat_http_head_value_ok(*value) && leat_http_head_name_ok(*name);
}

int leat_http_head_field_form(leat_slice line)
{
    leat_slice name;
    leat_slice value;
    return split_field(line, &name, &value) ? 0 : 400;
}

/* --- chunks --- */

static void take_space(leat_slice *rest)
{
    while (rest->len > 0 && (rest->at[0] == ' ' || rest->at[0] == '\t'))
        *rest = (leat_slice){rest->at + 1, rest->len - 1};
}

static bool take_char(leat_slice *rest, char c)
{
    if (rest->len == 0 || rest->at[0] != c)
        return false;
    *rest = (leat_slice){rest->at + 1, rest->len - 1};
    return true;
}

static bool take_token(leat_slice *rest)
{
    size_t len = 0;
    while (len < rest->len && is_token_char(rest->at[len]))
        len++;
    *rest = (leat_slice){rest->at + len, rest->len - len};
    return len > 0;
}

/* What stands behind the first quote, up to the last one. Control characters were refused before.
 */
static bool take_quoted(leat_slice *rest)
{
    size_t i = 0;
    for (; i < rest->len && rest->at[i] != '"'; i++)
        if (rest->at[i] == '\\')
            i++;
    if (i >= rest->len)
        return false;
    *rest = (leat_slice){rest->at + i + 1, rest->len - i - 1};
    return true;
}

/* *( BWS ";" BWS name [ BWS "=" BWS value ] ) */
static bool extensions_ok(leat_slice rest)
{
    while (rest.len > 0) {
        take_space(&rest);
        if (!take_char(&rest, ';'))
            return false;
        take_space(&rest);
        if (!take_token(&rest))
            return false;
        leat_slice behind = rest;
        take_space(&behind);
        if (!take_char(&behind, '='))
            continue;
        take_space(&behind);
        if (!(take_char(&behind, '"') ? take_quoted(&behind) : take_token(&behind)))
            return false;
        rest = behind;
    }
    return true;
}

size_t leat_http_head_chunk_digits(leat_slice line)
{
    size_t digits = 0;
    while (digits < line.len && isxdigit((unsigned char)line.at[digits]))
        digits++;
    leat_slice rest = {line.at + digits, line.len - digits};
    return leat_http_head_value_ok(rest) && extensions_ok(rest) ? digits : 0;
}

bool leat_http_head_number(leat_slice text, uint64_t *out)
{
    uint64_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (!is_digit(text.at[i]))
            return false;
        uint64_t digit = (uint64_t)(text.at[i] - '0');
        n = n > (UINT64_MAX - digit) / 10 ? UINT64_MAX : n * 10 + digit;
    }
    *out = n;
    return text.len > 0;
}

/* "chunked" alone is understood. Other codings before it: 501 (RFC 9112 §6.1); without it at the
 * end, nobody knows where the body ends. */
static int encoding_status(leat_slice value)
{
    static const char chunked[] = "chunked";
    size_t n = sizeof(chunked) - 1;
    if (leat_http_head_is_word(value, chunked))
        return 0;
    if (value.len > n && strncasecmp(value.at + value.len - n, chunked, n) == 0 &&
        strchr(", \t", value.at[value.len - n - 1]) != NULL)
        return 501;
    return 400;
}

int leat_http_head_field(leat_http_head *h, leat_slice line)
{
    leat_slice name;
    leat_slice value;
    if (!split_field(line, &name, &value))
        return 400;
    h->n_fields++;
    if (leat_http_head_is_word(name, "host"))
        return ++h->n_hosts > 1 || !host_ok(value) ? 400 : 0;
    if (leat_http_head_is_word(name, "content-length"))
        return ++h->n_lengths > 1 || !leat_http_head_number(value, &h->content_length) ? 400 : 0;
    if (leat_http_head_is_word(name, "transfer-encoding")) {
        h->encoding_status = encoding_status(value);
        return ++h->n_encodings > 1 ? 400 : 0;
    }
    return 0;
}

int leat_http_head_end(const leat_http_head *h, size_t max_body)
{
    if (h->minor >= 1 && h->n_hosts == 0)
        return 400;
    /* Both say where the body ends, and may disagree; HTTP/1.0 has no codings (RFC 9112 §6.1). */
    if (h->n_encodings > 0 && (h->n_lengths > 0 || h->minor == 0))
        return 400;
    if (h->encoding_status != 0)
        return h->encoding_status;
    return h->content_length > max_body ? 413 : 0;
}
