/* address.h - socket addresses as text.
 *
 * Ownership  plain values.
 * Threads    any.
 * Units      none.
 * Errors     parsing returns LEAT_EBADMSG; formatting cannot fail.
 */
#ifndef LEAT_NET_ADDRESS_H
#define LEAT_NET_ADDRESS_H

#include <stddef.h>

#include <sys/socket.h>

#include "base/err.h"

enum {
    LEAT_ADDRESS_TEXT = 56, /* room for the longest one, terminated */
};

/* "127.0.0.1:5000", "[::1]:5000"; an IPv4 address that came over an IPv6 socket as IPv4; "local"
 * for a socket that is neither. Cut if size is too small, always terminated. */
void leat_address_format(const struct sockaddr_storage *addr, char *out, size_t size);

/* Splits "127.0.0.1:8080", "[::1]:0" or ":8080" (all addresses, IPv4 and IPv6). Numeric only.
 * "[::ffff:127.0.0.1]:8080" is an IPv4 address. */
LEAT_MUST_CHECK int leat_address_parse(struct sockaddr_storage *out, const char *text);

#endif
