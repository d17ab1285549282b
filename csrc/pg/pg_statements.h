/* pg_statements.h - the prepared statements of one connection, kept by their text.
 *
 * Ownership  a statement is reference-counted: by the cache while it is kept, and by each query
 *            that uses it. When the last reference goes and the server knows the statement, its
 *            number is put on the list of statements to deallocate.
 * Threads    loop thread only.
 * Units      statements.
 * Errors     none.
 */
#ifndef LEAT_PG_PG_STATEMENTS_H
#define LEAT_PG_PG_STATEMENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "base/map.h"
#include "base/tally.h"

typedef enum leat_pg_statement_state {
    LEAT_PG_STATEMENT_NEW,       /* no Prepare was sent, or it has failed */
    LEAT_PG_STATEMENT_PREPARING, /* a Prepare is on its way */
    LEAT_PG_STATEMENT_PREPARED,  /* the server has it */
    LEAT_PG_STATEMENT_FORGOTTEN, /* the server had it (DISCARD, DEALLOCATE ALL, a pooler) */
} leat_pg_statement_state;

typedef struct leat_pg_statement {
    leat_map_entry entry_;
    leat_list link_;
    int holders_;
    bool kept_;
    bool names_state; /* as leat_pg_text_names_state says of its text */
    leat_pg_statement_state state;
    leat_tally_entry *tally; /* the user's: where it is counted; NULL: not known yet */
    char name[16];           /* at the server */
    unsigned number_;        /* in that name */
    char sql[];
} leat_pg_statement;

typedef struct leat_pg_statements {
    leat_map map_;
    leat_list recent_; /* least recently used first */
    size_t max_;
    unsigned next_;
    unsigned *deallocate_; /* numbers of statements to deallocate */
    size_t n_deallocate_;
    size_t deallocate_room_;
} leat_pg_statements;

void leat_pg_statements_init(leat_pg_statements *s, size_t max);

/* All statements must have been let go of. */
void leat_pg_statements_close(leat_pg_statements *s);

/* Returns the statement with that text, and holds it for the caller. Makes it if need be, and may
 * drop the least recently used one. */
leat_pg_statement *leat_pg_statements_hold(leat_pg_statements *s, const char *sql);
void leat_pg_statements_let_go(leat_pg_statements *s, leat_pg_statement *statement);

/* New queries do not get it any more: it could not be prepared, or is out of date. */
void leat_pg_statements_drop(leat_pg_statements *s, leat_pg_statement *statement);

/* Drops all, as the server has forgotten them. */
void leat_pg_statements_lost(leat_pg_statements *s);

/* How many are on the list of statements to deallocate. */
static inline size_t leat_pg_statements_to_deallocate(const leat_pg_statements *s)
{
    return s->n_deallocate_;
}

/* Writes "DEALLOCATE name" for the next statement on the list; false if there is none. */
bool leat_pg_statements_next_deallocate(leat_pg_statements *s, char *sql, size_t size);

#endif
