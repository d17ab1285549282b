/* tree.h - a JSON text as values in memory, for the commands that show answers.
 *
 * Ownership  leat_tree_parse returns owned; the values belong to the tree.
 * Threads    the caller's.
 * Units      none.
 * Errors     NULL for what is no JSON, or is nested too deeply.
 */
#ifndef LEAT_APP_TREE_H
#define LEAT_APP_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

typedef enum leat_value_kind {
    LEAT_VALUE_NULL,
    LEAT_VALUE_BOOL,
    LEAT_VALUE_NUMBER,
    LEAT_VALUE_TEXT,
    LEAT_VALUE_ARRAY,
    LEAT_VALUE_OBJECT,
} leat_value_kind;

typedef struct leat_value leat_value;
struct leat_value {
    leat_value_kind kind;
    char *key;         /* as a member; else NULL */
    char *text;        /* of a text; digits of a number; "true" or "false" */
    leat_value *first; /* of an array or an object */
    leat_value *next;  /* beside it */
};

leat_value *leat_tree_parse(leat_slice json);
void leat_tree_free(leat_value *v); /* NULL is harmless */

/* The member of that name; NULL: there is none, or v is no object (or NULL). */
const leat_value *leat_tree_member(const leat_value *v, const char *key);
/* The member as a text; "" if it is absent or no scalar. */
const char *leat_tree_text(const leat_value *v, const char *key);
/* The member as a number; 0 likewise. */
double leat_tree_number(const leat_value *v, const char *key);

/* A member's JSON as it stands in the text of an object; at == NULL: there is none. */
leat_slice leat_tree_raw(leat_slice json, const char *key);

#endif
