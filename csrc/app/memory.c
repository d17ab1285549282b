#include "app/memory.h"

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "base/log.h"

/* Less idle memory than this is not worth a call of the allocator. */
#define WORTH_BYTES ((size_t)16 << 20)
/* The process is calm if it has grown by no more between two calls. */
#define CALM_BYTES ((size_t)4 << 20)

/* Returns the resident bytes, 0 if they are not known. */
static size_t resident(void)
{
    unsigned long total = 0;
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f == NULL)
        return 0;
    /* NOLINTNEXTLINE(cert-err34-c): the kernel wrote these numbers, which fit. */
    if (fscanf(f, "%lu %lu", &total, &pages) != 2)
        pages = 0;
    fclose(f);
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

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
    size_t now = resident();
    bool calm = now <= m->last_ + CALM_BYTES;
    m->last_ = now;
    if (!calm || now < WORTH_BYTES || idle_bytes(now) < m->floor_ + WORTH_BYTES)
        return;
    give_back();
    m->last_ = resident();
    m->floor_ = idle_bytes(m->last_);
    LEAT_LOG_INFO("server", "memory given back resident_before=%zu resident_after=%zu", now,
                  m->last_);
}
