/* busy.h - how often something happens, about: two counters of ten seconds each.
 *
 * Ownership  embedded in its owner, all zero at first.
 * Threads    the owner's.
 * Units      milliseconds; times a second.
 * Errors     none.
 */
#ifndef LEAT_CORE_BUSY_H
#define LEAT_CORE_BUSY_H

#include <stdint.h>

enum { LEAT_BUSY_WINDOW_MS = 10000 };

typedef struct leat_busy {
    uint32_t window_; /* the number of the window that is counted now */
    uint32_t now_;
    uint32_t before_; /* in the window before it */
} leat_busy;

static inline void leat_busy_turn_(leat_busy *b, uint64_t now_ms)
{
    uint32_t window = (uint32_t)(now_ms / LEAT_BUSY_WINDOW_MS);
    if (window == b->window_)
        return;
    b->before_ = window == b->window_ + 1 ? b->now_ : 0;
    b->now_ = 0;
    b->window_ = window;
}

static inline void leat_busy_count(leat_busy *b, uint64_t now_ms)
{
    leat_busy_turn_(b, now_ms);
    b->now_++;
}

/* Over the last ten seconds. Of the window before, the part counts that lies in them. */
static inline double leat_busy_rate(leat_busy b, uint64_t now_ms)
{
    leat_busy_turn_(&b, now_ms);
    double rest = 1.0 - (double)(now_ms % LEAT_BUSY_WINDOW_MS) / LEAT_BUSY_WINDOW_MS;
    return (b.now_ + b.before_ * rest) * 1000.0 / LEAT_BUSY_WINDOW_MS;
}

#endif
