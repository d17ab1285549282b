/* net.h - what all connections of one thread share.
 *
 * Ownership  all of it is borrowed, and outlives the connections.
 * Threads    loop thread only.
 * Units      none.
 * Errors     none.
 */
#ifndef LEAT_NET_NET_H
#define LEAT_NET_NET_H

#include "base/limits.h"
#include "base/metrics.h"
#include "loop/loop.h"
#include "wire/deflate.h"

typedef struct leat_net {
    leat_loop *loop;
    leat_metrics *metrics;
    const leat_limits *limits;
    leat_deflate *deflate; /* NULL: messages are never compressed */
} leat_net;

#endif
