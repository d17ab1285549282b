/* inbox.c - the descriptor counts: inbox_put of an item into an empty queue makes it readable,
 * inbox_run empties both under the lock. */
#include "embed/inbox.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <uv.h>

int inbox_open(inbox *b)
{
    leat_list_init(&b->items_);
    atomic_init(&b->shut_, false);
    b->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (b->fd < 0)
        return uv_translate_sys_error(errno);
    int failed = pthread_mutex_init(&b->lock_, NULL);
    LEAT_ASSERT(failed == 0);
    return 0;
}

static void take_all(inbox *b, leat_list *out)
{
    uint64_t n = 0;
    pthread_mutex_lock(&b->lock_);
    leat_list_move(out, &b->items_);
    ssize_t got = read(b->fd, &n, sizeof(n)); /* nothing to read: it was not readable */
    (void)got;
    pthread_mutex_unlock(&b->lock_);
}

static int run_all(inbox *b)
{
    leat_list all;
    int n = 0;
    take_all(b, &all);
    for (leat_list *l = leat_list_shift(&all); l != NULL; l = leat_list_shift(&all)) {
        inbox_item *item = LEAT_CONTAINER_OF(l, inbox_item, link_);
        if (inbox_is_shut(b)) {
            item->drop(item);
        } else {
            item->run(item);
            n++;
        }
    }
    return n;
}

void inbox_close(inbox *b)
{
    if (b->fd < 0)
        return;
    inbox_shut(b);
    run_all(b);
    close(b->fd);
    b->fd = -1;
    pthread_mutex_destroy(&b->lock_);
}

static void wake(inbox *b)
{
    static const uint64_t one = 1;
    ssize_t put = write(b->fd, &one, sizeof(one)); /* full: it is readable anyway */
    (void)put;
}

void inbox_shut(inbox *b)
{
    atomic_store(&b->shut_, true);
    wake(b);
}

void inbox_reopen(inbox *b)
{
    atomic_store(&b->shut_, false);
}

bool inbox_is_shut(inbox *b)
{
    return atomic_load(&b->shut_);
}

void inbox_put(inbox *b, inbox_item *item)
{
    pthread_mutex_lock(&b->lock_);
    bool was_empty = leat_list_empty(&b->items_);
    leat_list_push(&b->items_, &item->link_);
    if (was_empty)
        wake(b);
    pthread_mutex_unlock(&b->lock_);
}

int inbox_run(inbox *b, int timeout_ms)
{
    struct pollfd waits = {.fd = b->fd, .events = POLLIN};
    if (timeout_ms != 0)
        poll(&waits, 1, timeout_ms); /* a signal ends the wait early, which is no harm */
    return run_all(b);
}
