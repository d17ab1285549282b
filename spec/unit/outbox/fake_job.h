/* fake_job.h - jobs that the spec answers itself, with results made of literals.
 *
 * Ownership  the job belongs to the code under test; its parameters are copied until it is
 *            answered.
 * Threads    the spec's.
 * Units      none.
 * Errors     none.
 */
#ifndef SPEC_UNIT_OUTBOX_FAKE_JOB_H
#define SPEC_UNIT_OUTBOX_FAKE_JOB_H

#include "pg/pg_job.h"

enum { FAKE_JOB_PARAMS = 8 };

/* The job that runs. There is one at a time. */
typedef struct fake_job {
    leat_pg_job *job; /* NULL: none */
    char params[FAKE_JOB_PARAMS][400];
    uint64_t deadline_ms;
    int n_started;
    bool unconnected; /* set by the spec: no job gets a connection */
} fake_job;

extern fake_job running_job;

/* Answers it with rows; values: row by row, NULL is null. */
void fake_job_answer(int rows, int columns, const char *const *values);
/* Answers it with an error; LEAT_EPG_SERVER: with that SQLSTATE. */
void fake_job_fail(int err, const char *sqlstate);

#endif
