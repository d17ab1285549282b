/* late_check.h - the examination of the database for a server that was started while the database
 * could not be reached (key await_database). It is repeated until the database answers.
 *
 * Ownership  borrows the configuration and the log until it has ended.
 * Threads    the server's loop; the questions block a thread of libuv's pool.
 * Units      none.
 * Errors     on_refused is called if the server must not serve this database.
 */
#ifndef LEAT_APP_LATE_CHECK_H
#define LEAT_APP_LATE_CHECK_H

#include <stdbool.h>

#include <uv.h>

#include "base/buf.h"
#include "base/log.h"
#include "engine/config.h"

typedef struct leat_late_check {
    const leat_config *config;
    leat_log *log;
    void (*on_refused)(void *arg, const leat_buf *why); /* called once at most */
    void *arg;
    uv_timer_t timer_; /* between two attempts */
    uv_work_t work_;
    leat_buf why_; /* the answer of the last attempt */
    int err_;
    bool ended_;
} leat_late_check;

/* The caller has filled in the four fields without underscore. c must stay where it is until the
 * loop has ended. */
void leat_late_check_begin(leat_late_check *c, uv_loop_t *loop);
/* An attempt that is under way keeps the loop running until it has ended. */
void leat_late_check_end(leat_late_check *c);

#endif
