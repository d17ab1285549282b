/* pg_show.h - a connection string for people to read.
 *
 * Ownership  bytes are copied.
 * Threads    any.
 * Units      none.
 * Errors     none: a string that libpq cannot read is not shown.
 */
#ifndef LEAT_PG_PG_SHOW_H
#define LEAT_PG_PG_SHOW_H

#include "base/buf.h"

/* Appends what the string says, as KEY=VALUE with blanks between. Passwords are left out. */
void leat_pg_show_conninfo(leat_buf *out, const char *conninfo);

#endif
