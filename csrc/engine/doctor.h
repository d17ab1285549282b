/* doctor.h - what is wrong with the database, or with the way to it, as a server would use it.
 *
 * Ownership  findings are borrowed within their callback.
 * Threads    the caller's, which blocks.
 * Units      none.
 * Errors     LEAT_EPG_LOST, LEAT_EPG_SERVER, LEAT_ESCHEMA, LEAT_EDEADLINE: the examination could
 *            not go on; why is a finding like the others.
 *
 * Nothing in the database is changed. One notification is sent, which servers ignore, and an event
 * is published in a transaction that is rolled back.
 */
#ifndef LEAT_ENGINE_DOCTOR_H
#define LEAT_ENGINE_DOCTOR_H

#include "base/err.h"
#include "engine/config.h"

typedef enum leat_severity {
    LEAT_SEVERITY_NOTE,
    LEAT_SEVERITY_WARNING,
    LEAT_SEVERITY_ERROR, /* something is broken, but a server can serve the rest */
    LEAT_SEVERITY_FATAL, /* a server could not serve */
} leat_severity;

typedef struct leat_finding {
    leat_severity severity;
    const char *problem; /* a sentence without its full stop */
    const char *remedy;  /* likewise; "" if there is none to name */
} leat_finding;

typedef struct leat_doctor {
    void (*on_finding)(void *arg, const leat_finding *finding);
    void (*on_fact)(void *arg, const char *what,
                    const char *fact); /* "database", "PostgreSQL 15.3" */
    void *arg;
} leat_doctor;

/* Goes the way of `leat serve`, from connecting to listening. */
LEAT_MUST_CHECK int leat_doctor_examine(const leat_config *config, const leat_doctor *doctor);

const char *leat_severity_name(leat_severity severity);

#endif
