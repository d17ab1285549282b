/* certificates.h - the certificates that a configuration names, and what is wrong with them.
 *
 * Ownership  the configuration is borrowed during the call.
 * Threads    the caller's, which blocks while files are read.
 * Units      none.
 * Errors     LEAT_ECONFIG if a server could not serve with them; why is a finding.
 */
#ifndef LEAT_APP_CERTIFICATES_H
#define LEAT_APP_CERTIFICATES_H

#include "app/config.h"
#include "app/doctor.h"
#include "base/err.h"

/* Tells the doctor's callbacks what there is to say. Does nothing without tls_listen. */
LEAT_MUST_CHECK int leat_certificates_examine(const leat_config *config, const leat_doctor *doctor);

#endif
