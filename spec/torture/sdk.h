/* sdk.h - clients of an SDK of Centrifugo's protocol, in a program of its own (sdk/driver.js). It
 * moves them by chance, and writes a line for each thing that an application is told.
 *
 * Ownership  clients.c owns it; sdk_close ends the program.
 * Threads    main thread.
 * Units      milliseconds; percent of the clients.
 * Errors     a broken promise is a violation, and so is an end of the program by itself.
 *
 * NULL stands for none, everywhere.
 */
#ifndef TORTURE_SDK_H
#define TORTURE_SDK_H

#include "torture.h"

typedef struct sdk sdk;

/* Returns NULL if the options name no program. */
sdk *sdk_new(torture *t);
/* So many of the clients lose their connections; so many do not read for a while. */
void sdk_disturb(sdk *s, unsigned cut_percent, unsigned pause_percent, unsigned for_ms);
/* As clients.h says. */
void sdk_rest(sdk *s);
bool sdk_settled(sdk *s, bool report);
unsigned sdk_live(const sdk *s);
void sdk_close(sdk *s);
bool sdk_gone(const sdk *s);
void sdk_free(sdk *s);

#endif
