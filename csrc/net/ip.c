/* ip.c - IPv4 addresses are kept as IPv6 addresses that stand for them (::ffff:a.b.c.d), so that
 * there is one form to compare. */
#include "net/ip.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

enum { V4_BITS = 96 }; /* before the IPv4 address in a mapped one */

static void map_v4(leat_ip *out, const void *four_bytes)
{
    memcpy(out->bytes, v4_prefix, sizeof(v4_prefix));
    memcpy(out->bytes + sizeof(v4_prefix), four_bytes, 4);
}

bool leat_ip_of(leat_ip *out, const struct sockaddr_storage *addr)
{
    switch (addr->ss_family) {
    case AF_INET:
        map_v4(out, &((const struct sockaddr_in *)addr)->sin_addr);
        return true;
    case AF_INET6:
        memcpy(out->bytes, &((const struct sockaddr_in6 *)addr)->sin6_addr, sizeof(out->bytes));
        return true;
    default:
        return false;
    }
}

static bool is_port(leat_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
    return text.len > 0 && text.len <= 5;
}

/* Takes brackets and port off: what is left is the address. False if they are not well-formed. */
static bool strip_port(leat_slice *text)
{
    const char *colon = text->len == 0 ? NULL : memrchr(text->at, ':', text->len);
    if (text->len > 0 && text->at[0] == '[') {
        const char *end = memchr(text->at, ']', text->len);
        if (end == NULL)
            return false;
        size_t inside = (size_t)(end - text->at) - 1;
        leat_slice rest = {end + 1, text->len - inside - 2};
        *text = (leat_slice){text->at + 1, inside};
        if (rest.len > 0 &&
            (rest.at[0] != ':' || !is_port((leat_slice){rest.at + 1, rest.len - 1})))
            return false;
        return memchr(text->at, ':', text->len) != NULL;
    }
    if (colon == NULL || memchr(text->at, ':', (size_t)(colon - text->at)) != NULL)
        return true; /* IPv4 alone, or IPv6 without brackets, which cannot have a port */
    leat_slice port = {colon + 1, text->len - (size_t)(colon - text->at) - 1};
    text->len = (size_t)(colon - text->at);
    return is_port(port) && memchr(text->at, '.', text->len) != NULL;
}

/* The address alone, as inet_pton reads it. */
static int parse_bare(leat_ip *out, leat_slice text)
{
    char copy[LEAT_IP_TEXT];
    uint8_t v4[4];
    leat_ip v6;
    if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.at, '\0', text.len) != NULL)
        return LEAT_EBADMSG;
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET, copy, v4) == 1)
        map_v4(out, v4);
    else if (inet_pton(AF_INET6, copy, v6.bytes) == 1)
        *out = v6;
    else
        return LEAT_EBADMSG;
    return 0;
}

int leat_ip_parse(leat_ip *out, leat_slice text)
{
    return strip_port(&text) ? parse_bare(out, text) : LEAT_EBADMSG;
}

bool leat_ip_is_v4(const leat_ip *ip)
{
    return memcmp(ip->bytes, v4_prefix, sizeof(v4_prefix)) == 0;
}

bool leat_ip_is_translated_v4(const leat_ip *ip)
{
    static const uint8_t everywhere[12] = {0, 0x64, 0xff, 0x9b};
    static const uint8_t local[6] = {0, 0x64, 0xff, 0x9b, 0, 1};
    return memcmp(ip->bytes, everywhere, sizeof(everywhere)) == 0 ||
           memcmp(ip->bytes, local, sizeof(local)) == 0;
}

bool leat_ip_is_loopback(const leat_ip *ip)
{
    static const leat_ip v6 = {.bytes = {[15] = 1}};
    return leat_ip_is_v4(ip) ? ip->bytes[12] == 127 : leat_ip_equal(ip, &v6);
}

bool leat_ip_equal(const leat_ip *a, const leat_ip *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

void leat_ip_format(const leat_ip *ip, char out[LEAT_IP_TEXT])
{
    if (leat_ip_is_v4(ip))
        inet_ntop(AF_INET, ip->bytes + sizeof(v4_prefix), out, LEAT_IP_TEXT);
    else
        inet_ntop(AF_INET6, ip->bytes, out, LEAT_IP_TEXT);
}

/* --- networks --- */

static leat_slice trim(leat_slice s)
{
    while (s.len > 0 && (s.at[0] == ' ' || s.at[0] == '\t'))
        s = (leat_slice){s.at + 1, s.len - 1};
    while (s.len > 0 && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
        s.len--;
    return s;
}

static int parse_bits(leat_slice text, unsigned max, unsigned *out)
{
    unsigned bits = 0;
    if (text.len == 0 || text.len > 3)
        return LEAT_EBADMSG;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return LEAT_EBADMSG;
        bits = bits * 10 + (unsigned)(text.at[i] - '0');
    }
    *out = bits;
    return bits <= max ? 0 : LEAT_EBADMSG;
}

static int parse_network(leat_network *out, leat_slice text)
{
    const char *slash = text.len == 0 ? NULL : memchr(text.at, '/', text.len);
    leat_slice ip = {text.at, slash == NULL ? text.len : (size_t)(slash - text.at)};
    int err = parse_bare(&out->ip, ip);
    if (err < 0)
        return err;
    bool v4 = leat_ip_is_v4(&out->ip) && memchr(ip.at, ':', ip.len) == NULL;
    unsigned before = v4 ? V4_BITS : 0;
    unsigned bits = 128 - before;
    if (slash != NULL)
        err = parse_bits((leat_slice){slash + 1, text.len - ip.len - 1}, 128 - before, &bits);
    out->bits = before + bits;
    return err;
}

int leat_networks_parse(leat_networks *out, const char *text)
{
    leat_networks list = {NULL, 0};
    int err = 0;
    leat_slice rest = leat_slice_of(text);
    while (rest.len > 0 && err == 0) {
        const char *comma = memchr(rest.at, ',', rest.len);
        size_t len = comma == NULL ? rest.len : (size_t)(comma - rest.at);
        leat_slice item = trim((leat_slice){rest.at, len});
        size_t used = comma == NULL ? len : len + 1;
        rest = (leat_slice){rest.at + used, rest.len - used};
        if (item.len == 0 && rest.len == 0 && list.count == 0 && comma == NULL)
            break; /* nothing but spaces */
        list.items = leat_realloc(list.items, (list.count + 1) * sizeof(*list.items));
        err = parse_network(&list.items[list.count++], item);
    }
    if (err < 0)
        leat_networks_close(&list);
    else
        *out = list;
    return err;
}

void leat_networks_close(leat_networks *networks)
{
    free(networks->items);
    *networks = (leat_networks){NULL, 0};
}

static bool has(const leat_network *n, const leat_ip *ip)
{
    unsigned whole = n->bits / 8;
    unsigned rest = n->bits % 8;
    if (n->bits < V4_BITS && leat_ip_is_v4(ip)) /* a network of IPv6 */
        return false;
    if (memcmp(n->ip.bytes, ip->bytes, whole) != 0)
        return false;
    return rest == 0 || (n->ip.bytes[whole] ^ ip->bytes[whole]) >> (8 - rest) == 0;
}

bool leat_networks_have(const leat_networks *networks, const leat_ip *ip)
{
    for (size_t i = 0; i < networks->count; i++)
        if (has(&networks->items[i], ip))
            return true;
    return false;
}
