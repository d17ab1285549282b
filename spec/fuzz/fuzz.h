/* fuzz.h - what the fuzz targets share: the entry point's declaration, checks, and cutting an input
 * into pieces by numbers that come from the input itself.
 */
#ifndef LEAT_SPEC_FUZZ_H
#define LEAT_SPEC_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libFuzzer's own way to change an input in place. Returns the new size. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/* A target may have a way of its own, which knows the structure of its inputs. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

/* The length of the next piece of `left` bytes (left > 0); random is never 0. */
static inline size_t next_piece(uint32_t *random, size_t left)
{
    *random ^= *random << 13;
    *random ^= *random >> 17;
    *random ^= *random << 5;
    size_t most = *random % 4 == 0 ? left : left < 7 ? left : 7;
    return 1 + (*random >> 4) % most;
}

#endif
