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
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

typedef enum leat_options_command {
    LEAT_OPTIONS_SERVE,
    LEAT_OPTIONS_MIGRATE,
    LEAT_OPTIONS_CHECK,
    LEAT_OPTIONS_TEST,
    LEAT_OPTIONS_SHOW,
    LEAT_OPTIONS_TAIL,
    LEAT_OPTIONS_PUBLISH,
    LEAT_OPTIONS_TOP,
    LEAT_OPTIONS_LOG,
    LEAT_OPTIONS_VERSION,
    LEAT_OPTIONS_HELP,
} leat_options_command;

enum { LEAT_OPTIONS_WORDS = 2 };

typedef struct leat_options {
    leat_options_command command;
    bool help; /* leat COMMAND --help */
    bool plan; /* MIGRATE: change nothing */
    bool json; /* CHECK, and what asks a server: for programs */
    const char *config;
    const char *app;
    const char *listen;
    const char *database;
    const char *grant_server;    /* a role */
    const char *grant_publisher; /* a role */
    const char *grant_watcher;   /* a role */
    const char *listen_url;
    const char *address_file;
    const char *control; /* the operator's socket; the next three likewise for what is shown */
    const char *by;
    const char *limit;
    const char *user;
    const char *since;                     /* TAIL: a position */
    const char *interval;                  /* TOP: seconds */
    int frames;                            /* TOP: so many; 0: until q */
    const char *words[LEAT_OPTIONS_WORDS]; /* SHOW and its like: what is no option */
    size_t n_words;
    char **rest; /* TEST: all that follows the command, unread */
} leat_options;

/* Reads `leat COMMAND [WORD]... [--flag | --option VALUE | --option=VALUE]...`. */
LEAT_MUST_CHECK int leat_options_parse(leat_options *out, int argc, char **argv, leat_buf *error);

#endif
