/* host_list.c - an entry of a list is a name or an address, with a port or without; a text from
 * a request is split in the same way, and compared with each entry. */
#include "net/host_list.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/ip.h"

enum { ANY_PORT = -1, NO_PORT = 0, HTTP_PORT = 80, HTTPS_PORT = 443 };

enum host_kind { HOST_ANY, HOST_NAME, HOST_BELOW, HOST_IP };

struct leat_host_entry {
    enum host_kind kind;
    int port; /* ANY_PORT: the entry has none */
    leat_ip ip;
    char *name; /* owned; NULL for IP addresses and "*" */
};

/* --- one host --- */

typedef struct host {
    leat_slice name; /* without a final dot; brackets stay */
    int port;        /* NO_PORT: it has none */
} host;

/* Digits, 1 to 65535; -1 for anything else. */
static int parse_port(leat_slice text)
{
    int port = 0;
    if (text.len == 0 || text.len > 5)
        return -1;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return -1;
        port = port * 10 + (text.at[i] - '0');
    }
    return port > 0 && port <= 65535 ? port : -1;
}

/* Where the name ends and ":port" begins; the length if there is none. */
static size_t name_end(leat_slice text)
{
    const char *from = text.at;
    if (text.len > 0 && text.at[0] == '[') {
        const char *bracket = memchr(text.at, ']', text.len);
        from = bracket == NULL ? text.at : bracket;
    }
    const char *colon =
        text.len == 0 ? NULL : memchr(from, ':', text.len - (size_t)(from - text.at));
    return colon == NULL ? text.len : (size_t)(colon - text.at);
}

/* False if it is neither a name nor an address, with a port or without. */
static bool split(leat_slice text, host *out)
{
    size_t end = name_end(text);
    out->name = (leat_slice){text.at, end};
    out->port = NO_PORT;
    if (end + 1 < text.len) /* a colon without digits is no port (RFC 3986 §3.2.3) */
        out->port = parse_port((leat_slice){text.at + end + 1, text.len - end - 1});
    if (out->name.len > 1 && out->name.at[out->name.len - 1] == '.')
        out->name.len--;
    return out->name.len > 0 && out->port >= 0;
}

static bool parse_ip(leat_slice name, leat_ip *ip)
{
    bool bracketed = name.len > 2 && name.at[0] == '[' && name.at[name.len - 1] == ']';
    bool has_colon = name.len > 0 && memchr(name.at, ':', name.len) != NULL;
    return bracketed == has_colon && leat_ip_parse(ip, name) == 0;
}

static bool same_name(leat_slice a, leat_slice b)
{
    return a.len == b.len && strncasecmp(a.at, b.at, a.len) == 0;
}

static bool is_below(leat_slice name, leat_slice parent)
{
    if (name.len < parent.len + 2)
        return false;
    size_t begin = name.len - parent.len;
    return name.at[begin - 1] == '.' && name.at[0] != '.' &&
           same_name((leat_slice){name.at + begin, parent.len}, parent);
}

/* --- the list --- */

static bool name_ok(leat_slice name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
    for (size_t i = 0; i < name.len; i++)
        if (name.at[i] == '\0' || strchr(allowed, name.at[i]) == NULL)
            return false;
    return name.len > 0 && name.at[0] != '.';
}

static int parse_entry(leat_host_entry *out, leat_slice text)
{
    host h;
    *out = (leat_host_entry){.kind = HOST_ANY, .port = ANY_PORT};
    if (leat_slice_is(text, "*"))
        return 0;
    if (!split(text, &h))
        return LEAT_EBADMSG;
    if (h.port != NO_PORT)
        out->port = h.port;
    out->kind = HOST_IP;
    if (parse_ip(h.name, &out->ip))
        return 0;
    bool below = h.name.len > 2 && memcmp(h.name.at, "*.", 2) == 0;
    if (below)
        h.name = (leat_slice){h.name.at + 2, h.name.len - 2};
    if (!name_ok(h.name))
        return LEAT_EBADMSG;
    out->kind = below ? HOST_BELOW : HOST_NAME;
    out->name = leat_memdup(h.name.at, h.name.len);
    return 0;
}

static leat_slice trim(leat_slice s)
{
    while (s.len > 0 && (s.at[0] == ' ' || s.at[0] == '\t'))
        s = (leat_slice){s.at + 1, s.len - 1};
    while (s.len > 0 && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* The next item of a list, which may be empty; false if there is none. An empty list has none. */
static bool next_item(leat_slice *rest, leat_slice *item)
{
    if (rest->at == NULL)
        return false;
    const char *comma = rest->len == 0 ? NULL : memchr(rest->at, ',', rest->len);
    size_t len = comma == NULL ? rest->len : (size_t)(comma - rest->at);
    *item = trim((leat_slice){rest->at, len});
    *rest = comma == NULL ? (leat_slice){NULL, 0} : (leat_slice){comma + 1, rest->len - len - 1};
    return true;
}

static leat_slice items_of(const char *text)
{
    leat_slice all = trim(leat_slice_of(text));
    return all.len == 0 ? (leat_slice){NULL, 0} : all;
}

int leat_host_list_parse(leat_host_list *out, const char *text)
{
    leat_host_list list = {NULL, 0};
    leat_slice rest = items_of(text);
    leat_slice item;
    int err = 0;
    while (err == 0 && next_item(&rest, &item)) {
        list.items = leat_realloc(list.items, (list.count + 1) * sizeof(*list.items));
        err = parse_entry(&list.items[list.count++], item);
    }
    if (err < 0)
        leat_host_list_close(&list);
    else
        *out = list;
    return err;
}

void leat_host_list_close(leat_host_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].name);
    free(list->items);
    *list = (leat_host_list){NULL, 0};
}

static bool port_matches(const leat_host_entry *e, int port)
{
    if (e->port == ANY_PORT || e->port == port)
        return true;
    return port == NO_PORT && (e->port == HTTP_PORT || e->port == HTTPS_PORT);
}

static bool matches(const leat_host_entry *e, const host *h)
{
    leat_ip ip;
    switch (e->kind) {
    case HOST_ANY:
        return true;
    case HOST_NAME:
        return port_matches(e, h->port) && same_name(h->name, leat_slice_of(e->name));
    case HOST_BELOW:
        return port_matches(e, h->port) && is_below(h->name, leat_slice_of(e->name));
    case HOST_IP:
        return port_matches(e, h->port) && parse_ip(h->name, &ip) && leat_ip_equal(&ip, &e->ip);
    }
    return false;
}

bool leat_host_list_has(const leat_host_list *list, leat_slice text)
{
    host h = {.port = NO_PORT};
    bool ok = split(text, &h);
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].kind == HOST_ANY || (ok && matches(&list->items[i], &h)))
            return true;
    return false;
}

/* True if the name is this machine's host name, or the first label of it. */
static bool is_machine(leat_slice name)
{
    char own[256];
    if (gethostname(own, sizeof(own)) < 0)
        return false;
    own[sizeof(own) - 1] = '\0';
    return same_name(name, leat_slice_of(own)) ||
           same_name(name, (leat_slice){own, strcspn(own, ".")});
}

bool leat_host_list_is_own(leat_slice text)
{
    host h;
    leat_ip ip;
    leat_slice localhost = leat_slice_of("localhost");
    if (text.len == 0)
        return true;
    if (!split(text, &h))
        return false;
    return parse_ip(h.name, &ip) || same_name(h.name, localhost) || is_below(h.name, localhost) ||
           is_machine(h.name);
}

bool leat_host_list_is_local(leat_slice text)
{
    host h;
    bool has_no_dot =
        split(text, &h) && name_ok(h.name) && memchr(h.name.at, '.', h.name.len) == NULL;
    return has_no_dot || leat_host_list_is_own(text); /* which may ask the system for its name */
}

/* --- origins --- */

static bool scheme_ok(leat_slice scheme)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.";
    for (size_t i = 0; i < scheme.len; i++)
        if (scheme.at[i] == '\0' || strchr(allowed, scheme.at[i]) == NULL)
            return false;
    return scheme.len > 0 && isalpha((unsigned char)scheme.at[0]);
}

/* Browsers leave the default port out, and an origin with it would match none of theirs. */
static bool is_default_port(leat_slice scheme, int port)
{
    return (port == HTTP_PORT && same_name(scheme, leat_slice_of("http"))) ||
           (port == HTTPS_PORT && same_name(scheme, leat_slice_of("https")));
}

/* Browsers write an IPv6 address in one way: zeros left out, and no IPv4 notation. A text that has
 * more of them would match no origin. What inet_ntop writes with IPv4 notation is not looked at. */
static bool is_as_browsers_write(leat_slice name, const leat_ip *ip)
{
    char text[LEAT_IP_TEXT];
    if (name.at[0] != '[')
        return true;
    leat_ip_format(ip, text);
    return memchr(name.at, '.', name.len) == NULL &&
           (strchr(text, '.') != NULL ||
            same_name((leat_slice){name.at + 1, name.len - 2}, leat_slice_of(text)));
}

static bool origin_ok(leat_slice text)
{
    const char *slashes = text.len == 0 ? NULL : memmem(text.at, text.len, "://", 3);
    host h;
    leat_ip ip;
    if (leat_slice_is(text, "*"))
        return true;
    if (slashes == NULL)
        return false;
    leat_slice scheme = {text.at, (size_t)(slashes - text.at)};
    leat_slice rest = {slashes + 3, text.len - scheme.len - 3};
    return scheme_ok(scheme) && split(rest, &h) && rest.at[rest.len - 1] != ':' &&
           (parse_ip(h.name, &ip) ? is_as_browsers_write(h.name, &ip) : name_ok(h.name)) &&
           !is_default_port(scheme, h.port);
}

bool leat_host_list_origins_ok(const char *text)
{
    leat_slice rest = items_of(text);
    leat_slice item;
    while (next_item(&rest, &item))
        if (!origin_ok(item))
            return false;
    return true;
}
