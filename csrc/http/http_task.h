/* http_task.h - what is under way for a request.
 *
 * Ownership  arg belongs to the one who answers the request.
 * Threads    loop thread of the worker.
 * Units      none.
 * Errors     none.
 */
#ifndef LEAT_HTTP_HTTP_TASK_H
#define LEAT_HTTP_HTTP_TASK_H

typedef struct leat_http_conn leat_http_conn;

typedef struct leat_http_task {
    void (*cancel)(void *arg); /* the peer is gone, or the server stops: free what is under way */
    void (*on_writable)(void *arg); /* asked for with _await_writable; may be NULL */
    void (*on_body)(void *arg);     /* asked for with _read_body; may be NULL */
    void *arg;
} leat_http_task;

#endif
