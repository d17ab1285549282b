/* http_refusal.h - the wire's error codes as HTTP statuses.
 *
 * Ownership  nothing is owned.
 * Threads    any.
 * Units      none.
 * Errors     none.
 */
#ifndef LEAT_HTTP_HTTP_REFUSAL_H
#define LEAT_HTTP_HTTP_REFUSAL_H

#include "base/err.h"
#include "base/metrics.h"

/* Of a refused identity (of a refused subscription: leat_http_status_of): 401 whatever the script's
 * code was, but for failures that are not its decision. */
int leat_http_refusal_connect_status(leat_code code);

/* The outcome to count it as. */
leat_metric leat_http_refusal_metric(leat_code code);

#endif
