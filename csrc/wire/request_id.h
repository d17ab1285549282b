/* request_id.h - the id by which a request is known elsewhere: in the logs of a proxy, in a trace.
 *
 * Ownership  an id points into the header's value.
 * Threads    any.
 * Units      bytes.
 * Errors     a header that is not of its form has no id.
 *
 * The id is the trace's of a header traceparent (W3C Trace Context §3.2), else that of
 * X-Request-Id. Whoever sends the request chooses it. So it is a name and proves nothing; and it
 * has only letters, digits, '.', '_' and '-', so that it can stand in a line of the log and in a
 * comment of SQL.
 */
#ifndef LEAT_WIRE_REQUEST_ID_H
#define LEAT_WIRE_REQUEST_ID_H

#include "base/slice.h"
#include "wire/head.h"
#include "wire/http.h"

enum { LEAT_REQUEST_ID_MAX = 64 };

/* Both return at == NULL if the request has no id. */
leat_slice leat_request_id(const leat_http_request *request);
leat_slice leat_request_id_of_head(const leat_head *head);

#endif
