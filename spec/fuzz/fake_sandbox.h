/* fake_sandbox.h - the two questions that csrc/script's loops ask the watchdog, answered by count
 * instead of by time, so that a finding can be repeated.
 *
 * Threads    one.
 * Errors     leat_sandbox_run_check raises when no looks are left.
 */
#ifndef LEAT_SPEC_FAKE_SANDBOX_H
#define LEAT_SPEC_FAKE_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

/* From now on n looks find time left, and all later ones find none. */
void fake_sandbox_allow(size_t n);
/* Whether a look has found no time left since. */
bool fake_sandbox_expired(void);

#endif
