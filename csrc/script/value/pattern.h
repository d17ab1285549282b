/* pattern.h - names with holes: "chat:{id:int}", "/chats/{id:int}/stream".
 *
 * Ownership  a pattern is owned by whoever compiled it.
 * Threads    any.
 * Units      bytes.
 * Errors     LEAT_EBADMSG and a sentence for a malformed pattern.
 *
 * Types: `int` (a decimal int64 in canonical form: "-"? digits, no leading zeros), `uuid` (in lower
 * case, as Postgres writes it: one thing has one name), `str` (the default). In a topic a str
 * matches one or more characters up to the first occurrence of the pattern's next literal (the last
 * literal counts at the end of the name), but no ':' unless it is the last hole; in a path
 * (compiled with path = true) one segment or a part of it, no '/', percent-decoded. A path's
 * literals are compared decoded, too; a path with malformed escapes, zero bytes or invalid UTF-8
 * matches nothing.
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
/* Matches and pushes the table of arguments (int holes as integers); pushes nothing and returns
 * false if it does not match. */
bool leat_pattern_push_args(const leat_pattern *p, leat_slice name, lua_State *L);

/* Matches name against p and fills the holes of template ("chat:{id}") with the matched texts;
 * false if it does not match or a hole is unknown. */
bool leat_pattern_expand(const leat_pattern *p, leat_slice name, leat_slice template,
                         leat_buf *out);
/* Whether p has a hole of that name (to check a template at load). */
bool leat_pattern_has_hole(const leat_pattern *p, leat_slice hole);

/* More literal bytes first: the order in which patterns are tried, so that "chat:lobby" wins over
 * "chat:{id}". */
int leat_pattern_compare(const leat_pattern *a, const leat_pattern *b);

#endif
