/* pg_statements.h - the prepared statements of one connection, kept by their text.
 *
 * Ownership  a statement is counted: the cache holds it while it is kept, and each query that uses
 *            it. When the last lets go of one that the server knows, its number waits in the list
 *            of those to be deallocated.
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

typedef struct leat_pg_statement {
    leat_map_entry entry_;
    leat_list link_;
    int holders_;
    bool kept_;
    bool sent;        /* a Prepare is on its way or done */
    bool at_server;   /* that Prepare has succeeded */
    char name[16];    /* at the server */
    unsigned number_; /* in that name */
    char sql[];
} leat_pg_statement;

typedef struct leat_pg_statements {
    leat_map map_;
    leat_list recent_; /* least recently used first */
    size_t max_;
    unsigned next_;
    unsigned *doomed_; /* numbers of what is to be deallocated */
    size_t n_doomed_;
    size_t doomed_room_;
} leat_pg_statements;

void leat_pg_statements_init(leat_pg_statements *s, size_t max);

/* All statements must have been let go of. */
void leat_pg_statements_close(leat_pg_statements *s);

/* The statement with that text, made if need be, held for the caller. May drop the least recently
 * used one. */
leat_pg_statement *leat_pg_statements_hold(leat_pg_statements *s, const char *sql);
void leat_pg_statements_let_go(leat_pg_statements *s, leat_pg_statement *statement);

/* No new query gets it: it failed to prepare, or went out of date. */
void leat_pg_statements_drop(leat_pg_statements *s, leat_pg_statement *statement);

/* The server knows none of them any more (DEALLOCATE ALL, a pooler): all are dropped. */
void leat_pg_statements_lost(leat_pg_statements *s);

/* Writes "DEALLOCATE name" of one that is no longer needed; false if there is none. */
bool leat_pg_statements_next_doomed(leat_pg_statements *s, char *sql, size_t size);

#endif
