/* line.c - counts the bytes on their way, and tells the hub when there is room.
 *
 * The hub sets awaits_room_ and then looks at bytes_ once more. The worker lowers bytes_ and then
 * looks at awaits_room_. So at least one of the two sees that there is room and that the hub waits
 * for it. The exchange of awaits_room_ lets only one of them act on it.
 */
#include "mail/line.h"

void leat_line_init(leat_line *l, leat_mailbox *hub, leat_loop *shared, size_t max_bytes)
{
    l->hub = hub;
    l->worker = NULL;
    l->shared = shared;
    l->max_bytes = max_bytes;
    l->hub_end = NULL;
    atomic_init(&l->bytes_, 0);
    atomic_init(&l->awaits_room_, false);
}

bool leat_line_post(const leat_line *l, leat_mailbox *to, leat_mail *mail)
{
    if (l->shared != NULL)
        return leat_mailbox_post_here(to, l->shared, mail);
    return leat_mailbox_post(to, mail);
}

bool leat_line_reserve(leat_line *l, size_t bytes)
{
    size_t before = atomic_load_explicit(&l->bytes_, memory_order_relaxed);
    if (before > 0 && before + bytes > l->max_bytes)
        return false;
    atomic_fetch_add_explicit(&l->bytes_, bytes, memory_order_relaxed);
    return true;
}

bool leat_line_await_room(leat_line *l)
{
    atomic_store(&l->awaits_room_, true);
    bool has_room = atomic_load(&l->bytes_) <= l->max_bytes / 2;
    return !(has_room && atomic_exchange(&l->awaits_room_, false));
}

bool leat_line_release(leat_line *l, size_t bytes)
{
    size_t left = atomic_fetch_sub(&l->bytes_, bytes) - bytes;
    return left <= l->max_bytes / 2 && atomic_exchange(&l->awaits_room_, false);
}
