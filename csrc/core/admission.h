/* admission.h - who is refused before anything is done for them: subscriptions, handshakes and
 * publishes that exceed what a user, a tenant or the worker may have.
 *
 * Ownership  a subscriber holds its accounts from _join to _leave.
 * Threads    loop thread of the worker.
 * Units      milliseconds.
 * Errors     a refusal is a failure, written only if false is returned: `limit`, `rate_limited`, or
 *            `unavailable` with the time after which trying again makes sense.
 *
 * A handshake lasts from the request to its answer: of a subscribe, and of an HTTP request that
 * needs the scripts. While many wait for the database, a handshake is refused if it would wait
 * longer than its caller does. So the database works for those who are still there. */
#ifndef LEAT_CORE_ADMISSION_H
#define LEAT_CORE_ADMISSION_H

#include "base/failure.h"
#include "core/subscriber.h"

/* Opens the accounts of the subscriber's session. Each subscription that it has counts for them. */
void leat_admission_join(leat_subscriber *to);
/* Closes them. Its subscriptions have ended, or move to the next session's accounts. */
void leat_admission_leave(leat_subscriber *to);

/* May it begin a handshake, and have one more subscription? deadline_ms: when its caller gives up.
 */
bool leat_admission_subscribe(const leat_subscriber *to, uint64_t deadline_ms,
                              leat_failure *refusal);
/* The same for an HTTP request, whose user is not known yet. */
bool leat_admission_request(leat_core *core, uint64_t deadline_ms, leat_failure *refusal);
/* May the session have one more stream, which is one subscription? */
bool leat_admission_stream(leat_core *core, const leat_session *session, leat_failure *refusal);
/* Counts a subscribe by the subscriber's address, if its rate allows one now. */
bool leat_admission_charge_subscribe(leat_subscriber *to, leat_failure *refusal);
/* Counts a publish, if its rate allows one now. */
bool leat_admission_publish(leat_subscriber *to, leat_slice topic, leat_failure *refusal);

/* A subscription exists, until _ended. */
void leat_admission_began(leat_subscriber *to);
void leat_admission_ended(leat_subscriber *to);
/* A handshake is under way, until _over. to: NULL for an HTTP request. */
void leat_admission_under_way(leat_core *core, leat_subscriber *to);
void leat_admission_over(leat_core *core, leat_subscriber *to);

/* Returns after how many milliseconds somebody who is told `unavailable` should come back. The
 * estimate is the time until all who wait now have been served; a second, if nobody waits or the
 * pace is not known. The result is at random between the estimate and twice the estimate, so that
 * not all come back together, and within retry_after_min_ms and retry_after_max_ms. */
uint32_t leat_admission_retry_ms(leat_core *core);

#endif
