/* address.c - an address and a port, from and to text. */
#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static char *write_number(char *to, unsigned n)
{
    char digits[5];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    memcpy(to, digits + at, sizeof(digits) - at);
    return to + sizeof(digits) - at;
}

/* By hand, because each connection's address is written: inet_ntop and snprintf take thirty times
 * as long. */
static void format_ip4(const uint8_t ip[4], in_port_t port, char *out, size_t size)
{
    char text[sizeof("255.255.255.255:65535")];
    char *to = text;
    for (int i = 0; i < 4; i++) {
        to = write_number(to, ip[i]);
        *to++ = i < 3 ? '.' : ':';
    }
    size_t len = (size_t)(write_number(to, ntohs(port)) - text);
    if (len >= size)
        len = size - 1;
    memcpy(out, text, len);
    out[len] = '\0';
}

void leat_address_format(const struct sockaddr_storage *addr, char *out, size_t size)
{
    char ip[INET6_ADDRSTRLEN] = "";
    if (addr->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)addr;
        format_ip4((const uint8_t *)&in->sin_addr, in->sin_port, out, size);
    } else if (addr->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)addr;
        if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
            format_ip4(&in6->sin6_addr.s6_addr[12], in6->sin6_port, out, size);
        } else {
            inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof(ip));
            snprintf(out, size, "[%s]:%u", ip, ntohs(in6->sin6_port));
        }
    } else {
        snprintf(out, size, "local");
    }
}

/* Digits only, 0 to 65535. Returns -1 for anything else. */
static int parse_port(const char *text)
{
    int port = 0;
    size_t len = strlen(text);
    if (len == 0 || len > 5 || strspn(text, "0123456789") != len)
        return -1;
    for (; *text != '\0'; text++)
        port = port * 10 + (*text - '0');
    return port <= 65535 ? port : -1;
}

static int parse_ip6(struct sockaddr_storage *out, const char *ip, int port)
{
    struct in6_addr addr = in6addr_any;
    in_port_t in_order = htons((uint16_t)port);
    if (ip[0] != '\0' && inet_pton(AF_INET6, ip, &addr) != 1)
        return LEAT_EBADMSG;
    if (IN6_IS_ADDR_V4MAPPED(&addr)) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;
        in->sin_family = AF_INET;
        in->sin_port = in_order;
        memcpy(&in->sin_addr, &addr.s6_addr[12], sizeof(in->sin_addr));
    } else {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = in_order;
        in6->sin6_addr = addr;
    }
    return 0;
}

static int parse_ip4(struct sockaddr_storage *out, const char *ip, int port)
{
    struct sockaddr_in *in = (struct sockaddr_in *)out;
    in->sin_family = AF_INET;
    in->sin_port = htons((uint16_t)port);
    return inet_pton(AF_INET, ip, &in->sin_addr) == 1 ? 0 : LEAT_EBADMSG;
}

int leat_address_parse(struct sockaddr_storage *out, const char *text)
{
    char ip[INET6_ADDRSTRLEN] = "";
    const char *colon = strrchr(text, ':');
    if (colon == NULL)
        return LEAT_EBADMSG;
    int port = parse_port(colon + 1);
    const char *from = text;
    size_t len = (size_t)(colon - text);
    bool bracketed = len >= 3 && text[0] == '[' && colon[-1] == ']';
    if (bracketed) {
        from++;
        len -= 2;
    }
    if (port < 0 || len >= sizeof(ip))
        return LEAT_EBADMSG;
    memcpy(ip, from, len);

    struct sockaddr_storage addr = {0};
    int err = bracketed || len == 0 ? parse_ip6(&addr, ip, port) : parse_ip4(&addr, ip, port);
    if (err == 0)
        *out = addr;
    return err;
}
