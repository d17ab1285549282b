/* log_levels.h - which lines of the log are wanted: from which level on, for each subsystem.
 *
 * Ownership  plain values.
 * Threads    any.
 * Units      none.
 * Errors     LEAT_EBADMSG.
 *
 * As text: a level, and behind it levels of subsystems, "info,pg=debug,http=warn".
 */
#ifndef LEAT_BASE_LOG_LEVELS_H
#define LEAT_BASE_LOG_LEVELS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

typedef enum leat_log_level {
    LEAT_LOG_LEVEL_DEBUG,
    LEAT_LOG_LEVEL_INFO,
    LEAT_LOG_LEVEL_WARN,
    LEAT_LOG_LEVEL_ERROR,
} leat_log_level;

/* The names that a line may have as its subsystem; "app" is the application's own lines. */
#define LEAT_LOG_SUBSYSTEMS(X)                                                                     \
    X(admission)                                                                                   \
    X(app)                                                                                         \
    X(broker)                                                                                      \
    X(client)                                                                                      \
    X(console)                                                                                     \
    X(control)                                                                                     \
    X(fetch)                                                                                       \
    X(gate)                                                                                        \
    X(http)                                                                                        \
    X(hub)                                                                                         \
    X(listener)                                                                                    \
    X(log)                                                                                         \
    X(pg)                                                                                          \
    X(read)                                                                                        \
    X(script)                                                                                      \
    X(server)                                                                                      \
    X(sub)                                                                                         \
    X(tls)                                                                                         \
    X(topic)                                                                                       \
    X(worker)

#define LEAT_LOG_SUBSYSTEM(name) LEAT_LOG_OF_##name,
enum { LEAT_LOG_SUBSYSTEMS(LEAT_LOG_SUBSYSTEM) LEAT_LOG_SUBSYSTEM_COUNT };
#undef LEAT_LOG_SUBSYSTEM

typedef struct leat_log_levels {
    uint8_t of[LEAT_LOG_SUBSYSTEM_COUNT]; /* each a leat_log_level */
} leat_log_levels;

/* The same level for all. */
leat_log_levels leat_log_levels_all(leat_log_level level);

/* Returns 0 and writes *out. An unknown level or subsystem, a subsystem that comes twice and a
 * level that does not come first are LEAT_EBADMSG. */
LEAT_MUST_CHECK int leat_log_levels_parse(leat_log_levels *out, const char *text);

/* Appends the shortest text that means the levels: the level that most have comes first. */
void leat_log_levels_write(const leat_log_levels *levels, leat_buf *out);

/* The place of the name in the list; LEAT_LOG_SUBSYSTEM_COUNT: it is not there. */
int leat_log_levels_place(const char *subsystem);

#endif
