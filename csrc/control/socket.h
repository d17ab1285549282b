/* socket.h - the sockets of an operator, which listen. A Unix socket: who may have its path, and
 * its file.
 *
 * Ownership  the opener owns both descriptors, until _close.
 * Threads    the main thread, before others are started: the process's umask changes meanwhile.
 * Units      none.
 * Errors     UV_EADDRINUSE if another server is there, else LEAT_ECONFIG; and a message for people
 *            that names the key.
 *
 * A file PATH.lock is locked as long as the server lives. Whoever holds the lock may replace the
 * socket's file, which a killed server has left behind. The file of the lock stays.
 */
#ifndef LEAT_CONTROL_SOCKET_H
#define LEAT_CONTROL_SOCKET_H

#include "base/buf.h"
#include "base/err.h"

typedef struct leat_control_socket {
    int fd;   /* listens; -1: there is none */
    int lock; /* -1 likewise */
} leat_control_socket;

/* place: an absolute path, or "ADDRESS:PORT"; "": opens nothing. key is named in the message. */
LEAT_MUST_CHECK int leat_control_socket_open(leat_control_socket *out, const char *key,
                                             const char *place, leat_buf *error);
/* The file stays: a confined server may not remove it. */
void leat_control_socket_close(leat_control_socket *s);

#endif
