/* task_log.h - what the log says of a task, and of what its script says, without the secrets of the
 * client for whom it runs (wire/redact.h).
 *
 * Ownership  texts are borrowed.
 * Threads    loop thread of the worker.
 * Units      none.
 * Errors     none.
 */
#ifndef LEAT_SCRIPT_TASK_TASK_LOG_H
#define LEAT_SCRIPT_TASK_TASK_LOG_H

#include "script/task/task.h"

/* Quotes the text (leat_log_quote) without the secrets of the request that the task is about. t may
 * be NULL: nothing is hidden. Returns out. */
const char *leat_task_quote(char *out, size_t size, leat_slice text, const leat_task *t);

void leat_task_log_deadline(const leat_task *t, leat_code code);
void leat_task_log_failure(const leat_task *t, const leat_vm_failure *f);

#endif
