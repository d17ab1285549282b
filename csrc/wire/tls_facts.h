/* tls_facts.h - what is known of a request's TLS connection, packed into one run of bytes.
 *
 * Ownership  packing appends to the caller's buffer; the slices of facts point into packed bytes.
 * Threads    any.
 * Units      none.
 * Errors     none: only bytes that _pack wrote are read.
 */
#ifndef LEAT_WIRE_TLS_FACTS_H
#define LEAT_WIRE_TLS_FACTS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/slice.h"

/* No text has a zero byte. */
typedef struct leat_tls_facts {
    leat_slice version;     /* "TLSv1.3" */
    leat_slice cipher;      /* its name in the IANA registry or, for TLS 1.2, OpenSSL's */
    leat_slice server_name; /* that the client has asked for; at == NULL: none */
    leat_slice subject;     /* of the client's certificate; at == NULL: it gave none */
    leat_slice fingerprint; /* SHA-256 of that certificate, in lower-case hex */
    bool verified;          /* tls_client_ca vouches for that certificate */
} leat_tls_facts;

void leat_tls_facts_pack(leat_buf *out, const leat_tls_facts *facts);
leat_tls_facts leat_tls_facts_read(leat_slice packed);

#endif
