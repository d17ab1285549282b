#include "app/memory.h"

#include <stdbool.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "base/log.h"
#include "base/process_metrics.h"

/* Less idle memory than this is not worth a call of the allocator. */
#define WORTH_BYTES ((size_t)16 << 20)
/* The process is calm if it has grown by no more between two calls. */
#define CALM_BYTES ((size_t)4 << 20)

#ifdef __GLIBC__
static size_t used_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void give_back(void)
{
    malloc_trim(0);
}
#else
static size_t used_bytes(void)
{
    return SIZE_MAX;
}

static void give_back(void)
{
}
#endif

/* Returns the resident bytes that no allocation uses: freed memory, and the program itself. */
static size_t idle_bytes(size_t now)
{
    size_t used = used_bytes();
    return now > used ? now - used : 0;
}

void leat_memory_look(leat_memory *m)
{
    size_t now = leat_process_resident_bytes();
    bool calm = now <= m->last_ + CALM_BYTES;
    m->last_ = now;
    if (!calm || now < WORTH_BYTES || idle_bytes(now) < m->floor_ + WORTH_BYTES)
        return;
    give_back();
    m->last_ = leat_process_resident_bytes();
    m->floor_ = idle_bytes(m->last_);
    LEAT_LOG_INFO("server", "memory given back resident_before=%zu resident_after=%zu", now,
                  m->last_);
}
