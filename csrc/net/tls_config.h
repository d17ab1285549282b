/* tls_config.h - how Leat speaks TLS: versions, ciphers, groups; and OpenSSL's errors as text.
 *
 * Ownership  a context is its maker's.
 * Threads    any; the errors are those of the calling thread.
 * Units      none.
 * Errors     making a context fails only for want of memory, which aborts.
 */
#ifndef LEAT_NET_TLS_CONFIG_H
#define LEAT_NET_TLS_CONFIG_H

#include <stdbool.h>

#include <openssl/ssl.h>

#include "base/buf.h"

/* A context without a certificate. */
SSL_CTX *leat_tls_config_new(void);

/* Makes the context ask clients for a certificate. If it is not required, one that cannot be
 * verified is taken, too, and SSL_get_verify_result tells. */
void leat_tls_config_ask(SSL_CTX *ctx, bool required);

/* Makes a session that began under another client_ca file unfit to be resumed. */
bool leat_tls_config_bind_sessions(SSL_CTX *ctx, const char *client_ca);

/* Appends why OpenSSL failed, and forgets it. */
void leat_tls_append_reason(leat_buf *out);
void leat_tls_forget_reasons(void);
/* True if OpenSSL failed because key and certificate do not belong together. */
bool leat_tls_reason_is_mismatch(void);

#endif
