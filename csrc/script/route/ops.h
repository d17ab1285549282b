/* ops.h - what the core asks of the scripts: the functions behind the table of core/script.h.
 *
 * Ownership  as core/script.h says.
 * Threads    loop thread of the worker.
 * Units      as core/script.h says.
 * Errors     every answer is a verdict.
 */
#ifndef LEAT_SCRIPT_ROUTE_OPS_H
#define LEAT_SCRIPT_ROUTE_OPS_H

#include "core/script.h"

const leat_script_ops *leat_ops_table(void);

#endif
