/* host_list.h - the names under which a server may be asked for (allowed_hosts), against pages
 * whose name has been made to point to it (DNS rebinding); and the form of allowed_origins.
 *
 * Ownership  a list owns its entries; leat_host_list_close frees them. Verdicts borrow.
 * Threads    any, while nobody changes the list.
 * Units      none.
 * Errors     parsing returns LEAT_EBADMSG.
 *
 * An entry is a name ("example.org"), all names below one ("*.example.org", at any depth, not that
 * one itself), an IP address ("192.0.2.1", "[2001:db8::1]"), or "*" for any. It may have a port,
 * which then has to be the same. Names are compared without case and without a final dot, addresses
 * by value.
 */
#ifndef LEAT_NET_HOST_LIST_H
#define LEAT_NET_HOST_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

typedef struct leat_host_entry leat_host_entry;

typedef struct leat_host_list {
    leat_host_entry *items;
    size_t count;
} leat_host_list;

/* Reads "example.org, *.example.org:8443, [::1]"; an empty text is an empty list. */
LEAT_MUST_CHECK int leat_host_list_parse(leat_host_list *out, const char *text);
void leat_host_list_close(leat_host_list *list);

/* host is what Host says: "example.org", "example.org:8443", "[::1]:8080". A host without a port
 * has the port of http and that of https, since a proxy may have ended TLS. */
bool leat_host_list_has(const leat_host_list *list, leat_slice host);

/* True for names of this machine: IP addresses, "localhost" and names below it, and what `hostname`
 * prints; and for no name at all, as browsers always send one. */
bool leat_host_list_is_own(leat_slice host);
/* The same, and true for every name without a dot: no page of the internet can have one, but
 * somebody in the same network may give it to himself. */
bool leat_host_list_is_local(leat_slice host);

/* True if text is a list of origins as browsers send them, or empty: "https://example.org,
 * http://localhost:3000". Each is scheme and host, and a port only if it is not the scheme's
 * default; or "*". An IPv6 address is in its shortest form. */
bool leat_host_list_origins_ok(const char *text);

#endif
