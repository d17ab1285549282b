/* render.h - an answer of the operator's socket as text for people: members, and aligned tables.
 *
 * Ownership  text is appended to the caller's buffer.
 * Threads    the caller's.
 * Units      a member's name tells its unit: _bytes, _ms, _s, _per_s, _at (seconds since 1970).
 * Errors     none.
 *
 * It knows no question: what a server of another version tells is shown, too.
 */
#ifndef LEAT_APP_RENDER_H
#define LEAT_APP_RENDER_H

#include "app/tree.h"
#include "base/buf.h"

void leat_render(leat_buf *out, const leat_value *answer);

/* Appends the text; control characters become blanks, because a terminal would obey them. */
void leat_render_text(leat_buf *out, const char *text);

/* Appends JSON as it came, but for DEL and the control characters above ASCII: they are escaped, as
 * JSON allows. */
void leat_render_json(leat_buf *out, leat_slice json);

/* Appends a number with the unit that the name tells: "1.5 MiB", "12.3", "2 min". */
void leat_render_number(leat_buf *out, const char *name, double n);

#endif
