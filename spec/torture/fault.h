/* fault.h - the fault-thrower: a plan made of the seed, and the means to carry it out.
 *
 * Ownership  faults_new makes and prints the plan and starts the thread; faults_join ends it, when
 *            whatever it broke is whole again.
 * Threads    a thread of its own.
 * Units      milliseconds since the beginning.
 * Errors     a fault that cannot be thrown ends the test: it would prove nothing.
 */
#ifndef TORTURE_FAULT_H
#define TORTURE_FAULT_H

#include "torture.h"

faults *faults_new(torture *t);
void faults_join(faults *f);
void faults_report(const faults *f);
void faults_free(faults *f);

#endif
