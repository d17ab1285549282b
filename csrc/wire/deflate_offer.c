/* Reading offers: read_header walks the offers of one header (extension *( "," extension )),
 * read_offer one offer's parameters. Each parameter of permessage-deflate is a row of `parameters`.
 * The whole header is read even after an offer was accepted, since its grammar must hold to the
 * end. */
#include "wire/deflate_offer.h"

#include <string.h>
#include <strings.h>

#include "wire/http_head.h"

enum {
    WINDOW_BITS_MIN = 8,
    WINDOW_BITS_MAX = 15,
    VALUE_ROOM = 4, /* of a quoted value: one byte more than is looked at */
};

/* What one offer asks for. */
typedef struct offer {
    bool acceptable;
    unsigned seen; /* bits: which parameters stood there */
    leat_deflate_terms terms;
} offer;

typedef enum value_rule {
    VALUE_FORBIDDEN,
    VALUE_OPTIONAL,
    VALUE_REQUIRED,
} value_rule;

enum { PARAMETER_SERVER_WINDOW = 2 };

static const struct parameter {
    const char *name;
    value_rule value; /* a value is always the exponent of a window */
} parameters[] = {
    {"server_no_context_takeover", VALUE_FORBIDDEN},
    {"client_no_context_takeover", VALUE_FORBIDDEN},
    [PARAMETER_SERVER_WINDOW] = {"server_max_window_bits", VALUE_REQUIRED},
    {"client_max_window_bits", VALUE_OPTIONAL},
};

static void skip_space(leat_slice *rest)
{
    while (rest->len > 0 && (*rest->at == ' ' || *rest->at == '\t')) {
        rest->at++;
        rest->len--;
    }
}

/* Takes the character c off *rest, and the white space around it. False if it is not there. */
static bool take_char(leat_slice *rest, char c)
{
    skip_space(rest);
    if (rest->len == 0 || *rest->at != c)
        return false;
    rest->at++;
    rest->len--;
    skip_space(rest);
    return true;
}

/* Takes a token off *rest. False if there is none. */
static bool take_token(leat_slice *rest, leat_slice *token)
{
    *token = (leat_slice){rest->at, 0};
    while (token->len < rest->len && leat_http_head_is_token_char(rest->at[token->len]))
        token->len++;
    rest->at += token->len;
    rest->len -= token->len;
    return token->len > 0;
}

/* Takes what stands in quotes, without the backslash of each quoted pair. A token has to be left
 * (RFC 6455 §9.1). What is longer than room is cut: no value of ours is as long. */
static bool take_quoted(leat_slice *rest, char *room, size_t size, leat_slice *value)
{
    size_t i = 1;
    *value = (leat_slice){room, 0};
    for (; i < rest->len && rest->at[i] != '"'; i++) {
        if (rest->at[i] == '\\' && ++i == rest->len)
            return false;
        if (!leat_http_head_is_token_char(rest->at[i]))
            return false;
        if (value->len < size)
            room[value->len++] = rest->at[i];
    }
    if (i >= rest->len)
        return false;
    rest->at += i + 1;
    rest->len -= i + 1;
    return value->len > 0;
}

/* Takes a parameter's value: a token, or a quoted string. */
static bool take_value(leat_slice *rest, char *room, size_t size, leat_slice *value)
{
    if (rest->len == 0 || *rest->at != '"')
        return take_token(rest, value);
    return take_quoted(rest, room, size, value);
}

static bool name_is(leat_slice name, const char *text)
{
    return name.len == strlen(text) && strncasecmp(name.at, text, name.len) == 0;
}

/* The window's exponent: 8 to 15 without a leading zero; 0 for anything else. */
static uint8_t window_bits(leat_slice value)
{
    unsigned bits = 0;
    for (size_t i = 0; i < value.len && i < 3; i++) {
        if (value.at[i] < '0' || value.at[i] > '9' || (i == 0 && value.at[i] == '0'))
            return 0;
        bits = bits * 10 + (unsigned)(value.at[i] - '0');
    }
    return bits >= WINDOW_BITS_MIN && bits <= WINDOW_BITS_MAX ? (uint8_t)bits : 0;
}

/* Takes one parameter into the offer. A parameter that is unknown, repeated or has a wrong value
 * makes the offer one that must be declined (RFC 7692 §7.1). */
static void read_parameter(offer *o, leat_slice name, bool has_value, leat_slice value)
{
    enum { N = sizeof(parameters) / sizeof(parameters[0]) };
    size_t i = 0;
    while (i < N && !name_is(name, parameters[i].name))
        i++;
    bool fits = i < N && (o->seen & 1u << i) == 0 &&
                (has_value ? parameters[i].value != VALUE_FORBIDDEN && window_bits(value) != 0
                           : parameters[i].value != VALUE_REQUIRED);
    if (!fits) {
        o->acceptable = false;
        return;
    }
    o->seen |= 1u << i;
    if (i == PARAMETER_SERVER_WINDOW)
        o->terms = (leat_deflate_terms){window_bits(value), true};
}

/* Takes one offer off *rest. False if the grammar does not hold. */
static bool read_offer(leat_slice *rest, offer *o)
{
    leat_slice name;
    skip_space(rest);
    if (!take_token(rest, &name))
        return false;
    *o = (offer){
        .acceptable = name_is(name, "permessage-deflate"),
        .terms = {.window_bits = WINDOW_BITS_MAX},
    };
    while (take_char(rest, ';')) {
        char room[VALUE_ROOM];
        leat_slice value = {NULL, 0};
        if (!take_token(rest, &name))
            return false;
        bool has_value = take_char(rest, '=');
        if (has_value && !take_value(rest, room, sizeof(room), &value))
            return false;
        read_parameter(o, name, has_value, value);
    }
    return true;
}

/* Reads one header's offers; the first acceptable one goes into terms, unless another header's is
 * there already. Empty elements of the list are skipped (RFC 7230 §7). False if the grammar does
 * not hold. */
static bool read_header(leat_slice rest, leat_deflate_terms *terms)
{
    while (take_char(&rest, ','))
        ;
    while (rest.len > 0) {
        offer o;
        if (!read_offer(&rest, &o))
            return false;
        if (o.acceptable && terms->window_bits == 0)
            *terms = o.terms;
        skip_space(&rest);
        if (rest.len > 0 && !take_char(&rest, ','))
            return false;
        while (take_char(&rest, ','))
            ;
    }
    return true;
}

leat_deflate_answer leat_deflate_read_offers(const leat_http_request *r, leat_deflate_terms *terms)
{
    *terms = (leat_deflate_terms){.window_bits = 0};
    for (size_t i = 0; i < r->n_headers; i++)
        if (leat_slice_is(r->headers[i].name, "sec-websocket-extensions") &&
            !read_header(r->headers[i].value, terms))
            return LEAT_DEFLATE_MALFORMED;
    return terms->window_bits > 0 ? LEAT_DEFLATE_ACCEPTED : LEAT_DEFLATE_DECLINED;
}

void leat_deflate_write_answer(leat_buf *out, const leat_deflate_terms *terms)
{
    leat_buf_text(out, "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
                       "client_no_context_takeover");
    if (terms->window_asked)
        leat_buf_printf(out, "; server_max_window_bits=%u", (unsigned)terms->window_bits);
    leat_buf_text(out, "\r\n");
}
