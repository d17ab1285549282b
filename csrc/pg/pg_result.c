/* pg_result.c - accessors of libpq's PGresult. */
#include "pg/pg_result.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "pg/pg_result_private.h"

/* A message of Postgres may span several lines. Ours becomes part of one log line. */
static void join_lines(char *text)
{
    for (; text != NULL && *text != '\0'; text++)
        if ((unsigned char)*text < ' ')
            *text = ' ';
}

void leat_pg_result_open(leat_pg_result *r, PGresult *pg)
{
    join_lines(PQresultErrorField(pg, PG_DIAG_MESSAGE_PRIMARY));
    r->pg = pg;
    r->outdated = r->stale = false;
}

void leat_pg_result_close(leat_pg_result *r)
{
    PQclear(r->pg);
    r->pg = NULL;
}

int leat_pg_result_rows(const leat_pg_result *r)
{
    return PQntuples(r->pg);
}

int leat_pg_result_columns(const leat_pg_result *r)
{
    return PQnfields(r->pg);
}

const char *leat_pg_result_column_name(const leat_pg_result *r, int column)
{
    return PQfname(r->pg, column);
}

uint32_t leat_pg_result_column_type(const leat_pg_result *r, int column)
{
    return PQftype(r->pg, column);
}

bool leat_pg_result_is_null(const leat_pg_result *r, int row, int column)
{
    return PQgetisnull(r->pg, row, column) != 0;
}

leat_slice leat_pg_result_value(const leat_pg_result *r, int row, int column)
{
    if (leat_pg_result_is_null(r, row, column))
        return (leat_slice){NULL, 0};
    return (leat_slice){PQgetvalue(r->pg, row, column), (size_t)PQgetlength(r->pg, row, column)};
}

int64_t leat_pg_result_affected(const leat_pg_result *r)
{
    return strtoll(PQcmdTuples(r->pg), NULL, 10); /* "" for what changes no rows */
}

bool leat_pg_result_is_outdated(const leat_pg_result *r)
{
    return r->outdated;
}

bool leat_pg_result_may_be_outdated(const leat_pg_result *r)
{
    return r->stale;
}

bool leat_pg_result_is_plain(const leat_pg_result *r)
{
    static const char *const commands[] = {"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"};
    const char *tag = PQcmdStatus(r->pg);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strncmp(tag, commands[i], strlen(commands[i])) == 0)
            return true;
    return false;
}

const char *leat_pg_result_sqlstate(const leat_pg_result *r)
{
    const char *state = PQresultErrorField(r->pg, PG_DIAG_SQLSTATE);
    return state != NULL ? state : "";
}

const char *leat_pg_result_message(const leat_pg_result *r)
{
    const char *message = PQresultErrorField(r->pg, PG_DIAG_MESSAGE_PRIMARY);
    return message != NULL ? message : "";
}

leat_pg_result *leat_pg_result_keep(leat_pg_result *r)
{
    leat_pg_result *kept = leat_calloc(1, sizeof(*kept));
    *kept = *r;
    r->pg = NULL;
    return kept;
}

void leat_pg_result_free(leat_pg_result *r)
{
    if (r == NULL)
        return;
    PQclear(r->pg);
    free(r);
}
