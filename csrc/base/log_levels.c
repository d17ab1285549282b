/* log_levels.c - leat_log_levels_parse cuts the text at its commas. */
#include "base/log_levels.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define LEAT_LOG_SUBSYSTEM(name) #name,
static const char *const subsystems[] = {LEAT_LOG_SUBSYSTEMS(LEAT_LOG_SUBSYSTEM)};
#undef LEAT_LOG_SUBSYSTEM

static const char *const levels[] = {"debug", "info", "warn", "error"};

enum { N_LEVELS = sizeof(levels) / sizeof(levels[0]) };

leat_log_levels leat_log_levels_all(leat_log_level level)
{
    leat_log_levels all;
    memset(all.of, (int)level, sizeof(all.of));
    return all;
}

/* Returns the place of the word among the names; n: it is none of them. */
static size_t place_of(const char *const *names, size_t n, leat_slice word)
{
    size_t i = 0;
    while (i < n && !leat_slice_is(word, names[i]))
        i++;
    return i;
}

int leat_log_levels_place(const char *subsystem)
{
    return (int)place_of(subsystems, LEAT_LOG_SUBSYSTEM_COUNT, leat_slice_of(subsystem));
}

/* "SUBSYSTEM=LEVEL" */
static bool take_one(leat_log_levels *out, bool *seen, leat_slice item)
{
    const char *equals = item.len == 0 ? NULL : memchr(item.at, '=', item.len);
    if (equals == NULL)
        return false;
    leat_slice name = {item.at, (size_t)(equals - item.at)};
    leat_slice level = {equals + 1, item.len - name.len - 1};
    size_t subsystem = place_of(subsystems, LEAT_LOG_SUBSYSTEM_COUNT, name);
    size_t of = place_of(levels, N_LEVELS, level);
    if (subsystem == LEAT_LOG_SUBSYSTEM_COUNT || of == N_LEVELS || seen[subsystem])
        return false;
    seen[subsystem] = true;
    out->of[subsystem] = (uint8_t)of;
    return true;
}

int leat_log_levels_parse(leat_log_levels *out, const char *text)
{
    bool seen[LEAT_LOG_SUBSYSTEM_COUNT] = {false};
    leat_slice item = {text, strcspn(text, ",")};
    size_t first = place_of(levels, N_LEVELS, item);
    if (first == N_LEVELS)
        return LEAT_EBADMSG;
    leat_log_levels all = leat_log_levels_all((leat_log_level)first);
    for (const char *at = text + item.len; *at != '\0'; at = item.at + item.len) {
        item = (leat_slice){at + 1, strcspn(at + 1, ",")};
        if (!take_one(&all, seen, item))
            return LEAT_EBADMSG;
    }
    *out = all;
    return 0;
}

/* Returns the most frequent level; of two that are as frequent, the lower one. */
static uint8_t most_frequent(const leat_log_levels *all)
{
    int counts[N_LEVELS] = {0};
    int most = 0;
    for (int i = 0; i < LEAT_LOG_SUBSYSTEM_COUNT; i++)
        counts[all->of[i]]++;
    for (int i = 1; i < N_LEVELS; i++)
        most = counts[i] > counts[most] ? i : most;
    return (uint8_t)most;
}

void leat_log_levels_write(const leat_log_levels *all, leat_buf *out)
{
    uint8_t most = most_frequent(all);
    leat_buf_text(out, levels[most]);
    for (int i = 0; i < LEAT_LOG_SUBSYSTEM_COUNT; i++)
        if (all->of[i] != most)
            leat_buf_printf(out, ",%s=%s", subsystems[i], levels[all->of[i]]);
}
