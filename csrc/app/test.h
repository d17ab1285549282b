/* test.h - leat test: becomes the program that runs an application's specs.
 *
 * Ownership  arguments are borrowed.
 * Threads    main thread, before there is another.
 * Units      none.
 * Errors     LEAT_ECONFIG and a message. It does not return otherwise.
 */
#ifndef LEAT_APP_TEST_H
#define LEAT_APP_TEST_H

#include "base/buf.h"
#include "base/err.h"

/* Replaces this process by lua/leat/spec/run.lua with those arguments, a list that ends with
 * NULL. */
LEAT_MUST_CHECK int leat_test_exec(char *const *args, leat_buf *error);

#endif
