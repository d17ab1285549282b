#include "pg/pg_text.h"

#include <string.h>
#include <strings.h>

bool leat_pg_text_sets_for_transaction(const char *sql)
{
    static const char *const words[] = {"local", "transaction", "constraints"};
    const char *set = strcasestr(sql, "set");
    if (set == NULL)
        return false;
    set += strlen("set");
    set += strspn(set, " \t\r\n");
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strncasecmp(set, words[i], strlen(words[i])) == 0)
            return true;
    return false;
}

bool leat_pg_text_names_state(const char *sql)
{
    return (strcasestr(sql, "set_config") != NULL && strcasestr(sql, "true") == NULL) ||
           strcasestr(sql, "advisory_lock") != NULL || strcasestr(sql, " temp") != NULL;
}
