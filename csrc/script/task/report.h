/* report.h - what an operator is told of a handler that did not come to its answer: a line of the
 * log, a place among the last errors, and the handler's counter.
 *
 * Ownership  nothing is kept of a leat_report; the last errors hold copies.
 * Threads    loop thread of the worker.
 * Units      none.
 * Errors     none. Tokens in names and texts are redacted.
 */
#ifndef LEAT_SCRIPT_TASK_REPORT_H
#define LEAT_SCRIPT_TASK_REPORT_H

#include "base/labelled.h"
#include "base/slice.h"
#include "core/core.h"
#include "script/task/vm.h"

/* A run of a handler. All is borrowed. */
typedef struct leat_report {
    const char *handler;   /* the kind of handler */
    const char *label;     /* what its name is: "topic" */
    leat_slice name;       /* of the topic, method or path */
    leat_slice head;       /* of the request, packed; at == NULL: there is none */
    leat_labelled *counts; /* of its handler; NULL: none are kept */
    leat_core *core;
} leat_report;

/* The handler raised an error, or one of its reads failed. A refusal is not reported. */
void leat_report_failure(const leat_report *r, const leat_vm_failure *f);

/* The handler's deadline passed; code is what the caller gets. */
void leat_report_deadline(const leat_report *r, leat_code code);

#endif
