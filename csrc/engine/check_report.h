/* check_report.h - what `leat check` prints, for people or for programs.
 *
 * Ownership  a report borrows the buffer that it writes to.
 * Threads    main thread.
 * Units      counts.
 * Errors     none.
 *
 * For people each thing is a line: "app: ok (…)", "error: PROBLEM: REMEDY". For programs all of it
 * is one JSON object: {"ok": false, "errors": 1, "warnings": 0, "facts": [{"what", "fact"}],
 * "findings": [{"severity", "problem", "remedy"}]}.
 */
#ifndef LEAT_ENGINE_CHECK_REPORT_H
#define LEAT_ENGINE_CHECK_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "engine/doctor.h"

typedef struct leat_check_report {
    leat_buf *out;
    bool is_json;
    size_t n_errors;
    size_t n_warnings;
    leat_buf facts;    /* of JSON */
    leat_buf findings; /* likewise */
} leat_check_report;

void leat_check_report_begin(leat_check_report *r, leat_buf *out, bool is_json);
void leat_check_report_end(leat_check_report *r);

/* A doctor that tells everything to the report. */
leat_doctor leat_check_report_doctor(leat_check_report *r);

/* Appends "PROBLEM: REMEDY". */
void leat_check_report_print(leat_buf *out, const leat_finding *f);

#endif
