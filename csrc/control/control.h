/* control.h - the operator's socket and the console: HTTP/1.1 with JSON answers, on the engine's
 * loop.
 *
 * Ownership  the control borrows the listening sockets, the engine and the configuration.
 * Threads    the engine's.
 * Units      none.
 * Errors     a request is answered with the status of its failure.
 *
 * At the operator's socket, whoever can connect is authorised: its file decides (socket.h). At the
 * console a token decides (console_login.h).
 */
#ifndef LEAT_CONTROL_CONTROL_H
#define LEAT_CONTROL_CONTROL_H

#include "base/err.h"
#include "engine/engine.h"

typedef struct leat_control leat_control;

/* socket, console: which listen; -1: there is none. */
leat_control *leat_control_new(leat_engine *engine, const leat_config *config, int socket,
                               int console);
/* Opens its handles on the engine's loop. After an error only _close and _free are allowed. */
LEAT_MUST_CHECK int leat_control_open(leat_control *c, uv_loop_t *loop);
/* Logs where the console listens, if there is one. */
void leat_control_tell(const leat_control *c);
/* All workers have ended. Its handles close, so that the loop can end. */
void leat_control_close(leat_control *c);
/* After the loop has ended, or before _open. NULL is harmless. */
void leat_control_free(leat_control *c);

#endif
