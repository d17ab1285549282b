/* config_near.c - two names are near if at most MAX_EDITS letters were left out, added or replaced
 * (Levenshtein's distance), and most of the shorter one is right. */
#include "engine/config_near.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum { MAX_EDITS = 2, MAX_NAME = 64 };

static size_t least_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Row by row: costs[j] is the distance of a's first i letters from b's first j letters. */
static size_t distance(const char *a, const char *b)
{
    size_t costs[MAX_NAME + 1];
    size_t len = strlen(b);
    if (strlen(a) > MAX_NAME || len > MAX_NAME)
        return MAX_NAME;
    for (size_t j = 0; j <= len; j++)
        costs[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t corner = costs[0];
        costs[0] = i;
        for (size_t j = 1; j <= len; j++) {
            size_t replaced = corner + (a[i - 1] != b[j - 1]);
            corner = costs[j];
            costs[j] = least_of(replaced, 1 + least_of(costs[j], costs[j - 1]));
        }
    }
    return costs[len];
}

/* variables: names of variables are compared, not of keys. */
static const leat_config_key *find(const char *name, size_t prefix_len, bool variables)
{
    size_t n = 0, best = least_of(MAX_EDITS, (strlen(name) - prefix_len) / 3) + 1;
    const leat_config_key *keys = leat_config_keys(&n), *found = NULL;
    for (size_t i = 0; i < n; i++) {
        char variable[LEAT_CONFIG_VARIABLE_MAX];
        leat_config_key_variable(&keys[i], variable);
        size_t edits = distance(name, variables ? variable : keys[i].name);
        if (edits >= best)
            continue;
        best = edits;
        found = &keys[i];
    }
    return best > 0 ? found : NULL; /* 0: the name is right */
}

const leat_config_key *leat_config_near_key(const char *name)
{
    return find(name, 0, false);
}

const leat_config_key *leat_config_near_variable(const char *name)
{
    static const char prefix[] = "LEAT_";
    size_t len = sizeof(prefix) - 1;
    return strncmp(name, prefix, len) == 0 ? find(name, len, true) : NULL;
}
