/* utf8.h - incremental UTF-8 validation (RFC 3629: no surrogates, no overlong forms, at most
 * U+10FFFF).
 *
 * Ownership  the state is a plain value.
 * Threads    any.
 * Units      bytes.
 * Errors     a result of false is final for that state.
 */
#ifndef LEAT_BASE_UTF8_H
#define LEAT_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct leat_utf8 {
    uint32_t state_; /* 0: at a character boundary */
} leat_utf8;

#define LEAT_UTF8_INIT ((leat_utf8){0})

/* Checks the next bytes. Returns false as soon as they cannot be part of valid UTF-8 (RFC 6455 §8.1
 * asks to fail fast). */
bool leat_utf8_feed(leat_utf8 *u, const char *bytes, size_t len);

/* True if the bytes so far end at a character boundary. */
bool leat_utf8_complete(const leat_utf8 *u);

/* True if the bytes are valid UTF-8 as a whole. */
bool leat_utf8_valid(const char *bytes, size_t len);

#endif
