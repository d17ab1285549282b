/* redact.h - takes the secrets of a request out of a text, before the text is logged.
 *
 * Ownership  the text is appended to the caller's buffer.
 * Threads    any.
 * Units      bytes.
 * Errors     none.
 *
 * The secrets of a request are its token, wherever it stands (the message that brought it, the
 * header Authorization, ?token= of its own address and of Referer), its cookies, and the
 * subprotocols that are not ours: some clients hide a token there. They are found by value. A value
 * of fewer than 8 bytes is none: it can be guessed, and is more likely a word of the text.
 */
#ifndef LEAT_WIRE_REDACT_H
#define LEAT_WIRE_REDACT_H

#include "base/buf.h"
#include "base/slice.h"
#include "wire/head.h"

#define LEAT_REDACTED "[secret]"

/* Appends the text, with LEAT_REDACTED in place of each secret. Of a text that becomes longer than
 * max, the rest is left out: each byte is compared with each secret, and a script may write
 * megabytes. */
void leat_redact(leat_buf *out, leat_slice text, const leat_head *head, size_t max);

/* Quotes the text for the log (leat_log_quote), without the secrets of a packed head. head.at ==
 * NULL: nothing is hidden. Returns out. */
const char *leat_redact_quote(char *out, size_t size, leat_slice text, leat_slice head);

#endif
