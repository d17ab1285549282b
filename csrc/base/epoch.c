/* epoch.c - the worker's map of epochs, by name.
 */
#include "base/epoch.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/mem.h"

struct leat_epoch {
    leat_map_entry entry; /* in epochs; key: text */
    leat_map *epochs;
    size_t refs;
    char text[];
};

leat_epoch *leat_epoch_of(leat_map *epochs, leat_slice text)
{
    leat_map_entry *found = leat_map_get(epochs, text);
    if (found != NULL)
        return leat_epoch_ref(LEAT_CONTAINER_OF(found, leat_epoch, entry));
    leat_epoch *e = leat_calloc(1, sizeof(*e) + text.len);
    memcpy(e->text, text.at, text.len);
    e->epochs = epochs;
    e->refs = 1;
    leat_map_add(epochs, &e->entry, (leat_slice){e->text, text.len});
    return e;
}

leat_epoch *leat_epoch_ref(leat_epoch *e)
{
    e->refs++;
    return e;
}

void leat_epoch_unref(leat_epoch *e)
{
    if (e == NULL || --e->refs > 0)
        return;
    leat_map_remove(e->epochs, &e->entry);
    free(e);
}

leat_slice leat_epoch_text(const leat_epoch *e)
{
    return e == NULL ? (leat_slice){NULL, 0} : leat_map_key(&e->entry);
}
