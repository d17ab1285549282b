/* certificates.h - the certificates that a configuration names, and what is wrong with them.
 *
 * Ownership  the configuration is borrowed during the call.
 * Threads    the caller's, which blocks while files are read.
 * Units      none.
 * Errors     LEAT_ECONFIG if a server could not serve with them; why is a finding.
 */
#ifndef LEAT_ENGINE_CERTIFICATES_H
#define LEAT_ENGINE_CERTIFICATES_H

#include "base/err.h"
#include "engine/config.h"
#include "engine/doctor.h"

/* Tells the doctor's callbacks what there is to say. Does nothing without tls_listen. */
LEAT_MUST_CHECK int leat_certificates_examine(const leat_config *config, const leat_doctor *doctor);

#endif
