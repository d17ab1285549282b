/* home.h - where the files are that come with the binary: lua/, config/schema/, clients/js/.
 *
 * Ownership  the path returned is the caller's.
 * Threads    any.
 * Units      none.
 * Errors     LEAT_ECONFIG if they are nowhere.
 */
#ifndef LEAT_ENGINE_HOME_H
#define LEAT_ENGINE_HOME_H

#include "base/buf.h"
#include "base/err.h"

/* The folder that holds lua/ and config/schema/: the source tree that the binary was built in, or
 * share/leat of the prefix that it was installed to (also if that was moved as a whole). The binary
 * is libleat.so, wherever the program lies, or else the program. */
LEAT_MUST_CHECK int leat_home_find(char **out, leat_buf *error);

#endif
