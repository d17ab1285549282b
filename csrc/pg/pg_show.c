#include "pg/pg_show.h"

#include <stddef.h>
#include <string.h>

#include <libpq-fe.h>

#define HIDDEN "[secret]"

/* libpq says by dispchar how a dialog should show an option: "*" for what must not be seen. */
static const char *shown(const PQconninfoOption *o)
{
    return o->dispchar[0] == '*' || strstr(o->keyword, "password") != NULL ? HIDDEN : o->val;
}

void leat_pg_show_conninfo(leat_buf *out, const char *conninfo)
{
    PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
    const char *blank = "";
    if (options == NULL)
        leat_buf_text(out, HIDDEN);
    for (const PQconninfoOption *o = options; o != NULL && o->keyword != NULL; o++) {
        if (o->val == NULL)
            continue;
        leat_buf_printf(out, "%s%s=%s", blank, o->keyword, shown(o));
        blank = " ";
    }
    PQconninfoFree(options);
}
