#include "app/memory.h"

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "base/log.h"

#define WORTH_BYTES ((size_t)16 << 20)
/* Grown by no more between two looks: it is calm. */
#define CALM_BYTES ((size_t)4 << 20)

/* 0 if unknown. */
static size_t resident(void)
{
    unsigned long total = 0;
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f == NULL)
        return 0;
    if (fscanf(f, "%lu %lu", &total, &pages) != 2)
        pages = 0;
    fclose(f);
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

#ifdef __GLIBC__
static size_t free_bytes(void)
{
    return mallinfo2().fordblks;
}

static void give_back(void)
{
    malloc_trim(0);
}
#else
static size_t free_bytes(void)
{
    return 0;
}

static void give_back(void)
{
}
#endif

void leat_memory_look(leat_memory *m)
{
    size_t now = resident();
    bool calm = now <= m->last_ + CALM_BYTES;
    m->last_ = now;
    if (m->floor_ == 0 || now < m->floor_)
        m->floor_ = now;
    if (!calm || now < m->floor_ + WORTH_BYTES || free_bytes() < WORTH_BYTES)
        return;
    give_back();
    m->floor_ = m->last_ = resident();
    LEAT_LOG_INFO("server", "memory given back resident_before=%zu resident_after=%zu", now,
                  m->floor_);
}
