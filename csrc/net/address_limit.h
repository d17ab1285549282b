/* address_limit.h - how many connections one address may have, how fast it may open them, ask and
 * subscribe, and how often it may fail to say who it is.
 *
 * Ownership  the table owns everything; a slot is held from _enter to _leave. The table outlives
 *            its slots.
 * Threads    any: the workers of a process share one table. It is locked in parts, when a
 *            connection comes or goes, and for each request and each subscribe.
 * Units      connections; connections a second; milliseconds of a monotonic clock.
 * Errors     none (out of memory aborts); a refusal is a verdict.
 *
 * An address is an IPv4 address, or the /64 network of an IPv6 address: a customer gets at least
 * that. ::1 is one by itself, and so is an IPv4 address that a translator shows as IPv6. Besides
 * the addresses that have connections, the table remembers those that have come lately, until their
 * buckets of tokens are full again, and of these a bounded number.
 */
#ifndef LEAT_NET_ADDRESS_LIMIT_H
#define LEAT_NET_ADDRESS_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bucket.h"
#include "net/ip.h"

typedef struct leat_address_limit leat_address_limit;
typedef struct leat_address_slot leat_address_slot;

/* What the clients of an address may do at a rate that they share. */
typedef enum leat_address_use {
    LEAT_ADDRESS_REQUEST, /* over HTTP */
    LEAT_ADDRESS_SUBSCRIBE,
    LEAT_ADDRESS_USES,
} leat_address_use;

typedef struct leat_address_limits {
    size_t connections;       /* of one address at the same time */
    size_t local_connections; /* likewise, of an address of this machine (loopback) */
    leat_rate opening;        /* new ones of one address */
    leat_rate failing;        /* failed attempts of one address to be let in */
    leat_rate uses[LEAT_ADDRESS_USES];
} leat_address_limits;

typedef enum leat_address_verdict {
    LEAT_ADDRESS_OK,
    LEAT_ADDRESS_TOO_MANY,
    LEAT_ADDRESS_TOO_FAST,
} leat_address_verdict;

leat_address_limit *leat_address_limit_new(const leat_address_limits *limits);
void leat_address_limit_free(leat_address_limit *l);

/* One more connection of that address. Writes *slot if it is let in. */
leat_address_verdict leat_address_limit_enter(leat_address_limit *l, const leat_ip *ip,
                                              uint64_t now_ms, leat_address_slot **slot);

/* True if the slot is that address's. */
bool leat_address_limit_holds(const leat_address_slot *slot, const leat_ip *ip);

/* A connection was closed because it flooded: that counts as a hundred new ones, so that it costs
 * something to come back. An address of this machine that may have more connections than others
 * stands for many peers, and pays nothing. */
void leat_address_limit_charge_flood(leat_address_slot *slot, uint64_t now_ms);

/* Counts one more use by that address, if its rate allows one now. Returns 0, or the milliseconds
 * until it does. An address of this machine that stands for many peers, as above, has no such
 * bound. */
uint64_t leat_address_limit_use(leat_address_slot *slot, leat_address_use use, uint64_t now_ms);

enum { LEAT_ADDRESS_CROWD_MS = 5000 };

/* True if that address is a crowd: out of its burst it has used LEAT_ADDRESS_CROWD_MS of its rate
 * in advance. An address that stands for many peers never is one. */
bool leat_address_limit_is_crowd(leat_address_slot *slot, leat_address_use use, uint64_t now_ms);

/* An attempt of that address to be let in has failed. */
void leat_address_limit_charge_failure(leat_address_slot *slot, uint64_t now_ms);

/* Milliseconds until that address may try again; 0: it may. */
uint64_t leat_address_limit_wait_ms(leat_address_slot *slot, uint64_t now_ms);

/* The connection is gone. */
void leat_address_limit_leave(leat_address_slot *slot);

/* Addresses that are remembered, for specs. */
size_t leat_address_limit_count(leat_address_limit *l);

#endif
