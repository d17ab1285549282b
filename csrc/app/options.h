/* options.h - the command line.
 *
 * Ownership  strings point into argv.
 * Threads    main thread.
 * Units      none.
 * Errors     LEAT_ECONFIG and a message.
 */
#ifndef LEAT_APP_OPTIONS_H
#define LEAT_APP_OPTIONS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

typedef enum leat_options_command {
    LEAT_OPTIONS_SERVE,
    LEAT_OPTIONS_MIGRATE,
    LEAT_OPTIONS_CHECK,
    LEAT_OPTIONS_TEST,
    LEAT_OPTIONS_VERSION,
    LEAT_OPTIONS_HELP,
} leat_options_command;

typedef struct leat_options {
    leat_options_command command;
    bool help; /* leat COMMAND --help */
    bool plan; /* MIGRATE: change nothing */
    bool json; /* CHECK: for programs */
    const char *config;
    const char *app;
    const char *listen;
    const char *database;
    const char *grant_server;    /* a role */
    const char *grant_publisher; /* a role */
    const char *grant_watcher;   /* a role */
    const char *listen_url;
    const char *address_file;
    char **rest; /* TEST: all that follows the command, unread */
} leat_options;

/* Reads `leat COMMAND [--flag | --option VALUE | --option=VALUE]...`. */
LEAT_MUST_CHECK int leat_options_parse(leat_options *out, int argc, char **argv, leat_buf *error);

#endif
