#include "http/http_peer.h"

#include <string.h>
#include <strings.h>

#include "wire/forwarded.h"

leat_http_peer leat_http_peer_of(const struct sockaddr_storage *addr, const leat_networks *trusted)
{
    leat_http_peer peer = {.known = false};
    peer.known = leat_ip_of(&peer.ip, addr);
    peer.trusted = peer.known && leat_networks_have(trusted, &peer.ip);
    return peer;
}

/* --- limits --- */

leat_address_verdict leat_http_peer_enter(const leat_http_peer *peer, leat_address_limit *limits,
                                          uint64_t now_ms, leat_address_slot **slot)
{
    *slot = NULL;
    if (!peer->known || peer->trusted)
        return LEAT_ADDRESS_OK;
    return leat_address_limit_enter(limits, &peer->ip, now_ms, slot);
}

/* Walks from the proxy towards the client, over those that are trusted, to the first that is not.
 * An element that is no address ends the walk: the last hop that is known then stands for all that
 * lies behind it. */
static leat_ip find_client(const leat_http_peer *peer, const leat_slice *hops, size_t n_hops,
                           const leat_networks *trusted)
{
    leat_ip client = peer->ip;
    for (size_t i = 0; i < n_hops; i++) {
        leat_ip hop;
        if (leat_ip_parse(&hop, hops[i]) < 0)
            break;
        client = hop;
        if (!leat_networks_have(trusted, &hop))
            break;
    }
    return client;
}

static void leave(leat_conn *conn)
{
    leat_address_limit_leave(leat_conn_address(conn));
    leat_conn_set_address(conn, NULL);
}

static leat_address_verdict count_for(leat_conn *conn, const leat_ip *client,
                                      leat_address_limit *limits, uint64_t now_ms)
{
    leat_address_slot *held = leat_conn_address(conn);
    leat_address_slot *slot = NULL;
    if (held != NULL && leat_address_limit_holds(held, client))
        return LEAT_ADDRESS_OK;
    leat_address_verdict verdict = leat_address_limit_enter(limits, client, now_ms, &slot);
    if (held != NULL)
        leat_address_limit_leave(held);
    leat_conn_set_address(conn, slot);
    return verdict;
}

leat_address_verdict leat_http_peer_identify(const leat_http_peer *peer, leat_conn *conn,
                                             const leat_http_request *r,
                                             const leat_networks *trusted,
                                             leat_address_limit *limits, uint64_t now_ms)
{
    leat_slice hops[LEAT_FORWARDED_HOPS];
    size_t n_hops = leat_forwarded_hops(r, hops);
    bool named_before = leat_conn_address(conn) != NULL;
    if (!peer->trusted || (n_hops == 0 && !named_before))
        return LEAT_ADDRESS_OK;
    leat_ip client = find_client(peer, hops, n_hops, trusted);
    char text[LEAT_IP_TEXT];
    leat_ip_format(&client, text);
    leat_conn_set_remote(conn, text);
    if (n_hops == 0) {
        leave(conn); /* the proxy speaks for itself, on the connection of an earlier client */
        return LEAT_ADDRESS_OK;
    }
    return count_for(conn, &client, limits, now_ms);
}

bool leat_http_peer_is_local(const leat_http_peer *peer, const leat_http_request *r)
{
    return peer->known && !peer->introduced && leat_ip_is_loopback(&peer->ip) &&
           !leat_forwarded_any(r);
}

leat_slice leat_http_peer_host(const leat_http_peer *peer, const leat_http_request *r)
{
    leat_slice host = peer->trusted ? leat_forwarded_host(r) : (leat_slice){NULL, 0};
    return host.len > 0 ? host : r->host;
}

/* --- origins --- */

static bool same_text(leat_slice a, leat_slice b)
{
    return a.len == b.len && strncasecmp(a.at, b.at, a.len) == 0;
}

/* Splits "host:port"; the port is the scheme's own where there is none. */
static void split_host(leat_slice authority, leat_slice own_port, leat_slice *host,
                       leat_slice *port)
{
    const char *colon = authority.len == 0 ? NULL : memrchr(authority.at, ':', authority.len);
    const char *bracket = authority.len == 0 ? NULL : memrchr(authority.at, ']', authority.len);
    *host = authority;
    *port = own_port;
    if (colon == NULL || (bracket != NULL && colon < bracket))
        return;
    host->len = (size_t)(colon - authority.at);
    leat_slice written = {colon + 1, authority.len - host->len - 1};
    if (written.len > 0)
        *port = written;
}

/* Where the host of an http or https origin begins; 0: it is no such origin. */
static size_t scheme_end(leat_slice origin, const char *scheme)
{
    size_t len = strlen(scheme);
    return origin.len > len && strncasecmp(origin.at, scheme, len) == 0 ? len : 0;
}

/* Whether host and port are those that the client asked for. The scheme may be http or https: a
 * proxy that ends TLS passes on the Host of an https page, and needs no configuration for it. */
static bool same_host(leat_slice origin, leat_slice authority)
{
    size_t begin = scheme_end(origin, "https://");
    leat_slice own_port = leat_slice_of(begin > 0 ? "443" : "80");
    if (begin == 0)
        begin = scheme_end(origin, "http://");
    if (begin == 0)
        return false;
    leat_slice host[2];
    leat_slice port[2];
    split_host((leat_slice){origin.at + begin, origin.len - begin}, own_port, &host[0], &port[0]);
    split_host(authority, own_port, &host[1], &port[1]);
    return host[0].len > 0 && same_text(host[0], host[1]) && same_text(port[0], port[1]);
}

/* A page that came without TLS is not of this server if the request came with it: anybody on the
 * way may have written such a page. Only a proxy may have had another connection in front. */
static bool is_own(const leat_http_peer *peer, const leat_http_request *r, leat_slice origin)
{
    if (r->tls.at != NULL && !peer->trusted && scheme_end(origin, "https://") == 0)
        return false;
    return same_host(origin, leat_http_peer_host(peer, r));
}

/* The list is not empty. The origin null has no name that a list could trust. */
static leat_http_origin find_listed(leat_slice origin, const char *list)
{
    leat_slice rest = leat_slice_of(list);
    leat_slice item;
    leat_http_origin found = LEAT_HTTP_ORIGIN_REFUSED;
    bool has_name = !same_text(origin, leat_slice_of("null"));
    while (leat_http_list_next(&rest, &item)) {
        if (has_name && same_text(item, origin))
            return LEAT_HTTP_ORIGIN_LISTED;
        if (leat_slice_is(item, "*"))
            found = LEAT_HTTP_ORIGIN_ANY;
    }
    return found;
}

leat_http_origin leat_http_peer_origin(const leat_http_peer *peer, const leat_http_request *r,
                                       const char *allowed_origins)
{
    leat_slice origin = leat_http_find(r, "origin");
    bool one = leat_http_count(r, "origin") == 1;
    if (origin.at == NULL)
        return LEAT_HTTP_ORIGIN_ABSENT;
    if (allowed_origins[0] == '\0')
        return one && is_own(peer, r, origin) ? LEAT_HTTP_ORIGIN_OWN : LEAT_HTTP_ORIGIN_REFUSED;
    leat_http_origin found = find_listed(origin, allowed_origins);
    return found == LEAT_HTTP_ORIGIN_LISTED && !one ? LEAT_HTTP_ORIGIN_REFUSED : found;
}
