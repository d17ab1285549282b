/* pg_statements.c - a map by text, and a list with the least recently used statement first. */
#include "pg/pg_statements.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "pg/pg_text.h"

#define NAME_FORMAT "leat_%u"

void leat_pg_statements_init(leat_pg_statements *s, size_t max)
{
    *s = (leat_pg_statements){.max_ = max};
    leat_map_init(&s->map_);
    leat_list_init(&s->recent_);
}

void leat_pg_statements_close(leat_pg_statements *s)
{
    while (!leat_list_empty(&s->recent_))
        leat_pg_statements_drop(s, LEAT_CONTAINER_OF(s->recent_.next, leat_pg_statement, link_));
    leat_map_close(&s->map_);
    free(s->deallocate_);
    s->deallocate_ = NULL;
}

static leat_pg_statement *make(leat_pg_statements *s, const char *sql)
{
    size_t len = strlen(sql);
    leat_pg_statement *new = leat_calloc(1, sizeof(*new) + len + 1);
    memcpy(new->sql, sql, len);
    leat_list_init(&new->link_);
    new->names_state = leat_pg_text_names_state(new->sql);
    new->number_ = s->next_++;
    snprintf(new->name, sizeof(new->name), NAME_FORMAT, new->number_);
    return new;
}

leat_pg_statement *leat_pg_statements_hold(leat_pg_statements *s, const char *sql)
{
    leat_slice key = leat_slice_of(sql);
    leat_map_entry *entry = leat_map_get(&s->map_, key);
    leat_pg_statement *found;
    if (entry != NULL) {
        found = LEAT_CONTAINER_OF(entry, leat_pg_statement, entry_);
        leat_list_unlink(&found->link_);
    } else {
        while (s->map_.count > 0 && s->map_.count >= s->max_)
            leat_pg_statements_drop(s,
                                    LEAT_CONTAINER_OF(s->recent_.next, leat_pg_statement, link_));
        found = make(s, sql);
        if (s->max_ == 0) {
            found->holders_ = 1;
            return found;
        }
        found->kept_ = true;
        found->holders_ = 1;
        leat_map_add(&s->map_, &found->entry_, (leat_slice){found->sql, key.len});
    }
    leat_list_push(&s->recent_, &found->link_);
    found->holders_++;
    return found;
}

static void deallocate_later(leat_pg_statements *s, unsigned number)
{
    if (s->n_deallocate_ == s->deallocate_room_) {
        s->deallocate_room_ = s->deallocate_room_ == 0 ? 8 : s->deallocate_room_ * 2;
        s->deallocate_ =
            leat_realloc(s->deallocate_, s->deallocate_room_ * sizeof(*s->deallocate_));
    }
    s->deallocate_[s->n_deallocate_++] = number;
}

void leat_pg_statements_let_go(leat_pg_statements *s, leat_pg_statement *statement)
{
    if (--statement->holders_ > 0)
        return;
    if (statement->state == LEAT_PG_STATEMENT_PREPARED)
        deallocate_later(s, statement->number_);
    free(statement);
}

void leat_pg_statements_drop(leat_pg_statements *s, leat_pg_statement *statement)
{
    if (!statement->kept_)
        return;
    statement->kept_ = false;
    leat_map_remove(&s->map_, &statement->entry_);
    leat_list_unlink(&statement->link_);
    leat_pg_statements_let_go(s, statement);
}

void leat_pg_statements_lost(leat_pg_statements *s)
{
    s->n_deallocate_ = 0;
    while (!leat_list_empty(&s->recent_)) {
        leat_pg_statement *last = LEAT_CONTAINER_OF(s->recent_.next, leat_pg_statement, link_);
        if (last->state == LEAT_PG_STATEMENT_PREPARED)
            last->state = LEAT_PG_STATEMENT_FORGOTTEN;
        leat_pg_statements_drop(s, last);
    }
}

bool leat_pg_statements_next_deallocate(leat_pg_statements *s, char *sql, size_t size)
{
    if (s->n_deallocate_ == 0)
        return false;
    snprintf(sql, size, "DEALLOCATE " NAME_FORMAT, s->deallocate_[--s->n_deallocate_]);
    return true;
}
