/* pg_text.h - what the text of a statement tells about what it leaves in the session.
 *
 * Both look for words anywhere in the text, so they take a comment for a statement. They read all
 * of it: ask once for a text that runs often.
 *
 * Ownership  none.
 * Threads    any.
 * Units      none.
 * Errors     none.
 */
#ifndef LEAT_PG_PG_TEXT_H
#define LEAT_PG_PG_TEXT_H

#include <stdbool.h>

/* For a statement whose tag is SET. True: what it sets ends with the transaction (SET LOCAL, SET
 * TRANSACTION, SET CONSTRAINTS). */
bool leat_pg_text_sets_for_transaction(const char *sql);

/* True if it names what may outlive the transaction: an advisory lock, a temporary table, or
 * set_config, unless its third argument may be true. */
bool leat_pg_text_names_state(const char *sql);

#endif
