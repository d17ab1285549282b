/* sql_scan.h - finds the SQL statements in the text of a Lua file, without running it.
 *
 * Ownership  slices are borrowed within their callback.
 * Threads    any.
 * Units      lines count from 1.
 * Errors     none: text that is no Lua yields what was understood of it.
 *
 * A statement is the first argument of one, rows or exec, called on db, tx, or a field of these
 * names; or the first element of a table in the table that batch is called with. It is known if it
 * is made of strings and of variables that hold such strings: `local T = "select 1"`, given once in
 * the file.
 */
#ifndef LEAT_SCRIPT_SQL_SCAN_H
#define LEAT_SCRIPT_SQL_SCAN_H

#include "base/slice.h"

typedef struct leat_sql_scan {
    void (*on_statement)(void *arg, int line, leat_slice sql);
    /* A statement that has strings, and parts that are known only when it runs. */
    void (*on_spliced)(void *arg, int line);
    void (*on_require)(void *arg, leat_slice module); /* require "module" */
    void *arg;
} leat_sql_scan;

void leat_sql_scan_text(leat_slice text, const leat_sql_scan *scan);

#endif
