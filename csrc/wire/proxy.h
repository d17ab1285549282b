/* proxy.h - the header of the PROXY protocol, versions 1 and 2, by which a proxy that passes bytes
 * on unread says for whom (haproxy's doc/proxy-protocol.txt).
 *
 * Ownership  what is read is a plain value.
 * Threads    any.
 * Units      bytes.
 * Errors     LEAT_EBADMSG for bytes that cannot be, or become, such a header.
 *
 * It is worth what the peer that sent it is worth: only a proxy that is configured may be believed,
 * and from that one every connection begins with a header. Of version 2's further fields (TLVs: the
 * name that the client asked for, its certificate, an identifier, a checksum) none is used.
 */
#ifndef LEAT_WIRE_PROXY_H
#define LEAT_WIRE_PROXY_H

#include <stdint.h>

#include <sys/socket.h>

#include "base/err.h"
#include "base/slice.h"

enum {
    LEAT_PROXY_MAX_BYTES = 2048, /* of a header of version 2, its further fields included */
};

typedef struct leat_proxy_header {
    uint32_t bytes; /* how many of the connection's first bytes it takes up */
    /* The client's. ss_family is AF_UNSPEC if the proxy speaks for itself (a health check, say), or
     * for a client that has no IP address. */
    struct sockaddr_storage source;
} leat_proxy_header;

/* Reads the header at the beginning of the bytes, which may go on behind it. Returns 1 and writes
 * *out if it is whole, 0 if more bytes are needed (then all of these belong to it). */
LEAT_MUST_CHECK int leat_proxy_read(leat_proxy_header *out, leat_slice bytes);

#endif
