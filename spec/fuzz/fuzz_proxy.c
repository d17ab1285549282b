/* The header of the PROXY protocol. The answer must not depend on how the bytes come: a beginning
 * of a header asks for more, what is once refused stays refused, and what follows changes nothing.
 */
#include "fuzz.h"

#include <string.h>

#include "wire/proxy.h"

/* Reads from a block of exactly that size. */
static int read_first(const uint8_t *data, size_t n, leat_proxy_header *h)
{
    char *copy = malloc(n > 0 ? n : 1);
    memcpy(copy, data, n);
    int status = leat_proxy_read(h, (leat_slice){copy, n});
    free(copy);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const leat_proxy_header untouched = {.bytes = UINT32_MAX}; /* no header is so long */
    leat_proxy_header whole = untouched;
    int last = 0;
    if (size == 0)
        return 0;
    int status = read_first(data, size, &whole);
    CHECK(status == 0 || status == 1 || status == LEAT_EBADMSG);
    CHECK((status == 1) == (memcmp(&whole, &untouched, sizeof(whole)) != 0));
    CHECK(status != 1 || (whole.bytes <= size && whole.bytes <= LEAT_PROXY_MAX_BYTES));
    CHECK(status != 0 || size < LEAT_PROXY_MAX_BYTES);
    for (size_t n = 1; n <= size && n <= LEAT_PROXY_MAX_BYTES; n += 1 + n / 64) {
        leat_proxy_header part = untouched;
        int now = read_first(data, n, &part);
        CHECK(last == 0 || now == last);
        CHECK(now != 1 || (status == 1 && memcmp(&part, &whole, sizeof(part)) == 0));
        last = now;
    }
    return 0;
}
