/* proxy.c - the first byte tells the version: version 1 is a line of text, version 2 begins with a
 * signature that no other protocol has. What is wrong is refused with the byte that shows it. */
#include "wire/proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>

enum {
    MAX_LINE = 107, /* of version 1, with its CRLF */
    FIXED = 16,     /* of version 2: signature, version and command, family, length */
    IP4_BYTES = 12, /* two addresses and two ports */
    IP6_BYTES = 36,
};

static const leat_proxy_header nobody = {.source = {.ss_family = AF_UNSPEC}};

/* True if one of the two begins with the other. */
static bool agree(leat_slice bytes, const char *prefix, size_t len)
{
    return memcmp(bytes.at, prefix, bytes.len < len ? bytes.len : len) == 0;
}

/* --- version 1 --- */

/* Takes the text up to the next space, or to the end, off *rest, with that space. */
static leat_slice next_word(leat_slice *rest)
{
    const char *space = rest->len == 0 ? NULL : memchr(rest->at, ' ', rest->len);
    leat_slice word = {rest->at, space == NULL ? rest->len : (size_t)(space - rest->at)};
    size_t used = space == NULL ? word.len : word.len + 1;
    *rest = (leat_slice){rest->at + used, rest->len - used};
    return word;
}

/* 0 to 65535 without leading zeros; -1 for anything else. */
static int parse_port(leat_slice text)
{
    int port = 0;
    if (text.len == 0 || text.len > 5 || (text.at[0] == '0' && text.len > 1))
        return -1;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return -1;
        port = port * 10 + (text.at[i] - '0');
    }
    return port <= 65535 ? port : -1;
}

static bool parse_address(struct sockaddr_storage *out, int family, leat_slice text)
{
    char copy[INET6_ADDRSTRLEN];
    void *to = family == AF_INET ? (void *)&((struct sockaddr_in *)out)->sin_addr
                                 : (void *)&((struct sockaddr_in6 *)out)->sin6_addr;
    if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.at, '\0', text.len) != NULL)
        return false;
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    out->ss_family = (sa_family_t)family;
    return inet_pton(family, copy, to) == 1;
}

static void set_port(struct sockaddr_storage *addr, uint16_t network_order)
{
    if (addr->ss_family == AF_INET)
        ((struct sockaddr_in *)addr)->sin_port = network_order;
    else
        ((struct sockaddr_in6 *)addr)->sin6_port = network_order;
}

/* "192.0.2.1 198.51.100.1 56324 443" */
static bool parse_endpoints(leat_proxy_header *h, int family, leat_slice rest)
{
    struct sockaddr_storage here = {0};
    leat_slice from = next_word(&rest);
    leat_slice to = next_word(&rest);
    int port = parse_port(next_word(&rest));
    if (port < 0 || parse_port(rest) < 0 || !parse_address(&h->source, family, from) ||
        !parse_address(&here, family, to))
        return false;
    set_port(&h->source, htons((uint16_t)port));
    return true;
}

/* The line without its CRLF. What follows UNKNOWN is ignored. */
static int parse_line(leat_proxy_header *h, leat_slice line)
{
    (void)next_word(&line);
    leat_slice family = next_word(&line);
    bool ok = leat_slice_is(family, "UNKNOWN") ||
              (leat_slice_is(family, "TCP4") && parse_endpoints(h, AF_INET, line)) ||
              (leat_slice_is(family, "TCP6") && parse_endpoints(h, AF_INET6, line));
    return ok ? 1 : LEAT_EBADMSG;
}

static int read_line(leat_proxy_header *out, leat_slice bytes)
{
    static const char begin[] = "PROXY ";
    size_t looked_at = bytes.len < MAX_LINE ? bytes.len : MAX_LINE;
    if (!agree(bytes, begin, sizeof(begin) - 1))
        return LEAT_EBADMSG;
    for (size_t i = 0; i < looked_at; i++) {
        bool ends = i > 0 && bytes.at[i - 1] == '\r';
        if (ends != (bytes.at[i] == '\n')) /* a CR or a LF alone */
            return LEAT_EBADMSG;
        if (!ends)
            continue;
        leat_proxy_header h = nobody;
        h.bytes = (uint32_t)i + 1;
        int status = parse_line(&h, (leat_slice){bytes.at, i - 1});
        if (status > 0)
            *out = h;
        return status;
    }
    return looked_at < MAX_LINE ? 0 : LEAT_EBADMSG;
}

/* --- version 2 --- */

static void take_ip4(struct sockaddr_storage *out, const char *block)
{
    struct sockaddr_in *in = (struct sockaddr_in *)out;
    in->sin_family = AF_INET;
    memcpy(&in->sin_addr, block, 4);
    memcpy(&in->sin_port, block + 8, 2);
}

static void take_ip6(struct sockaddr_storage *out, const char *block)
{
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    in6->sin6_family = AF_INET6;
    memcpy(&in6->sin6_addr, block, 16);
    memcpy(&in6->sin6_port, block + 32, 2);
}

/* Clients of other families than TCP over IP count as ones without an address, as the
 * specification allows. */
static int take_endpoints(leat_proxy_header *h, uint8_t family, const char *block, size_t len)
{
    enum { TCP4 = 0x11, TCP6 = 0x21, LAST_FAMILY = 3, LAST_TRANSPORT = 2 };
    if (family >> 4 > LAST_FAMILY || (family & 0xf) > LAST_TRANSPORT)
        return LEAT_EBADMSG;
    if ((family == TCP4 && len < IP4_BYTES) || (family == TCP6 && len < IP6_BYTES))
        return LEAT_EBADMSG;
    if (family == TCP4)
        take_ip4(&h->source, block);
    else if (family == TCP6)
        take_ip6(&h->source, block);
    return 1;
}

static int read_block(leat_proxy_header *out, leat_slice bytes)
{
    static const char signature[] = "\r\n\r\n\0\r\nQUIT\n";
    enum { VERSION = sizeof(signature) - 1, LOCAL = 0x20, PROXY = 0x21 };
    const unsigned char *at = (const unsigned char *)bytes.at;
    if (!agree(bytes, signature, VERSION))
        return LEAT_EBADMSG;
    if (bytes.len > VERSION && at[VERSION] != LOCAL && at[VERSION] != PROXY)
        return LEAT_EBADMSG;
    if (bytes.len < FIXED)
        return 0;
    size_t len = (size_t)at[14] << 8 | at[15];
    if (FIXED + len > LEAT_PROXY_MAX_BYTES)
        return LEAT_EBADMSG;
    if (bytes.len < FIXED + len)
        return 0;
    leat_proxy_header h = nobody;
    h.bytes = (uint32_t)(FIXED + len);
    int status = at[VERSION] == LOCAL ? 1 : take_endpoints(&h, at[13], bytes.at + FIXED, len);
    if (status > 0)
        *out = h;
    return status;
}

int leat_proxy_read(leat_proxy_header *out, leat_slice bytes)
{
    if (bytes.len == 0)
        return 0;
    return bytes.at[0] == '\r' ? read_block(out, bytes) : read_line(out, bytes);
}
