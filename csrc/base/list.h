/* list.h - an intrusive, circular, doubly linked list.
 *
 * Ownership  a link is embedded in its owner; the list owns nothing.
 * Threads    the owner's.
 * Units      none.
 * Errors     none. A link that is on no list points to itself; unlinking it again is harmless.
 */
#ifndef LEAT_BASE_LIST_H
#define LEAT_BASE_LIST_H

#include <stdbool.h>

#include "base/container_of.h"
#include "base/err.h"

typedef struct leat_list {
    struct leat_list *next;
    struct leat_list *prev;
} leat_list;

static inline void leat_list_init(leat_list *l)
{
    l->next = l->prev = l;
}

static inline bool leat_list_empty(const leat_list *l)
{
    return l->next == l;
}

static inline void leat_list_push(leat_list *head, leat_list *link)
{
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

static inline void leat_list_unlink(leat_list *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    leat_list_init(link);
}

/* Takes the first link off the list, or returns NULL. */
static inline leat_list *leat_list_shift(leat_list *head)
{
    leat_list *link = head->next;
    if (link == head)
        return NULL;
    head->next = link->next; /* leat_list_unlink hides from analysers that head is link->prev */
    head->next->prev = head;
    leat_list_init(link);
    return link;
}

/* Takes the first link off a list that is not empty. */
static inline leat_list *leat_list_take(leat_list *head)
{
    leat_list *link = leat_list_shift(head);
    LEAT_ASSERT(link != NULL);
    return link;
}

/* Moves all links of from to the empty list to. For walks whose callbacks change from. */
static inline void leat_list_move(leat_list *to, leat_list *from)
{
    leat_list_init(to);
    if (leat_list_empty(from))
        return;
    *to = *from;
    to->next->prev = to;
    to->prev->next = to;
    leat_list_init(from);
}

#endif
