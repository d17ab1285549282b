/* pattern.h - names with holes: "chat:{id:int}", "/chats/{id:int}/stream".
 *
 * Ownership  leat_pattern_new returns owned.
 * Threads    any.
 * Units      bytes.
 * Errors     LEAT_EBADMSG and a sentence for a malformed pattern.
 *
 * The types of holes:
 *   int   a decimal int64 in canonical form: an optional "-", and digits without leading zeros
 *   uuid  in lower case, as Postgres writes it, so that one thing has one name
 *   str   the default. In a topic: one or more characters up to the first occurrence of the next
 *         literal (the last literal must be the end of the name), without ':' except in the last
 *         hole. In a path (compiled with path = true): a segment or a part of one, without '/'.
 * A path is compared after percent-decoding. A path with malformed escapes, zero bytes or invalid
 * UTF-8 matches nothing.
 */
#ifndef LEAT_SCRIPT_VALUE_PATTERN_H
#define LEAT_SCRIPT_VALUE_PATTERN_H

#include <stdbool.h>

#include <lua.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

typedef struct leat_pattern leat_pattern;

LEAT_MUST_CHECK int leat_pattern_new(leat_pattern **out, leat_slice text, bool path, char *reason,
                                     size_t reason_size);
void leat_pattern_free(leat_pattern *p);

bool leat_pattern_matches(const leat_pattern *p, leat_slice name);
/* If name matches, pushes the table of arguments, in which int holes are integers. Otherwise pushes
 * nothing and returns false. */
bool leat_pattern_push_args(const leat_pattern *p, leat_slice name, lua_State *L);

/* If name matches, appends template ("chat:{id}") with the matched texts in its holes. Returns
 * false if name does not match or p lacks a hole. */
bool leat_pattern_expand(const leat_pattern *p, leat_slice name, leat_slice template,
                         leat_buf *out);
/* True if p has a hole of that name. */
bool leat_pattern_has_hole(const leat_pattern *p, leat_slice hole);

/* Appends a name that p matches. */
void leat_pattern_sample(const leat_pattern *p, leat_buf *out);

/* The order in which patterns are tried: those with more literal bytes first, so that "chat:lobby"
 * is tried before "chat:{id}". */
int leat_pattern_compare(const leat_pattern *a, const leat_pattern *b);

#endif
