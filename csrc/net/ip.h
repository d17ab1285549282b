/* ip.h - IP addresses without ports, and lists of networks.
 *
 * Ownership  an address is a plain value; leat_networks_close frees what a list owns.
 * Threads    any.
 * Units      bits of a prefix, as of an IPv6 address.
 * Errors     parsing returns LEAT_EBADMSG. Numeric addresses only.
 *
 * IPv4 is kept as ::ffff:a.b.c.d, so that an IPv4 address is the same however it came.
 */
#ifndef LEAT_NET_IP_H
#define LEAT_NET_IP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/socket.h>

#include "base/err.h"
#include "base/slice.h"

enum {
    LEAT_IP_TEXT = 46, /* room for the longest one, terminated */
};

typedef struct leat_ip {
    uint8_t bytes[16];
} leat_ip;

typedef struct leat_network {
    leat_ip ip;
    unsigned bits;
} leat_network;

typedef struct leat_networks {
    leat_network *items;
    size_t count;
} leat_networks;

/* False for a socket that is neither IPv4 nor IPv6. */
bool leat_ip_of(leat_ip *out, const struct sockaddr_storage *addr);

/* "192.0.2.1", "2001:db8::1", with brackets around IPv6 or not, with a port (which is dropped) or
 * not. */
LEAT_MUST_CHECK int leat_ip_parse(leat_ip *out, leat_slice text);

bool leat_ip_is_v4(const leat_ip *ip);
/* True for an IPv4 address behind a prefix of translators: 64:ff9b::/96 (RFC 6052), and
 * 64:ff9b:1::/48 for those of one's own network (RFC 8215). */
bool leat_ip_is_translated_v4(const leat_ip *ip);
bool leat_ip_is_loopback(const leat_ip *ip);
bool leat_ip_equal(const leat_ip *a, const leat_ip *b);

/* "192.0.2.1", "2001:db8::1". */
void leat_ip_format(const leat_ip *ip, char out[LEAT_IP_TEXT]);

/* Reads "10.0.0.0/8, 2001:db8::/32, ::1"; an empty text is an empty list. A network of IPv6 has no
 * IPv4 address, "::/0" neither. */
LEAT_MUST_CHECK int leat_networks_parse(leat_networks *out, const char *text);
void leat_networks_close(leat_networks *networks);
bool leat_networks_have(const leat_networks *networks, const leat_ip *ip);

#endif
