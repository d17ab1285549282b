/* gate.h - named points at which a server stops until a test lets it go on.
 *
 * Ownership  a gate is embedded in its owner. Its socket is borrowed: `leat test` gives it to the
 *            server when it starts it (LEAT_GATES), and no other server has one.
 * Threads    the thread that stops.
 * Units      none.
 * Errors     if the test does not answer in time, or is gone, the gate is given up: nothing stops
 *            there any more.
 *
 * leat_gate_stop blocks its thread, with all that the thread serves. So nothing of it moves while
 * the test commits what is to come in between. */
#ifndef LEAT_BASE_GATE_H
#define LEAT_BASE_GATE_H

#include "base/slice.h"

enum { LEAT_GATE_NONE = -1, LEAT_GATE_NEWLINE = 31 };

typedef struct leat_gate {
    int fd; /* LEAT_GATE_NONE: given up */
} leat_gate;

/* Returns true if that descriptor is a connected socket of this machine (AF_UNIX). */
bool leat_gate_is_socket(int fd);

/* Tells the test "POINT\tTOPIC\tDETAIL\n", and returns when the test has answered with one byte.
 * A line break of the texts is sent as LEAT_GATE_NEWLINE. gate NULL: returns at once. */
void leat_gate_stop(leat_gate *gate, const char *point, leat_slice topic, const char *detail);

#endif
