#include "wire/range.h"

#include <strings.h>

#include "wire/http_head.h"

/* "-500": the last 500 bytes. */
static leat_range_kind read_suffix(leat_slice digits, uint64_t size, leat_range *out)
{
    uint64_t n = 0;
    if (!leat_http_head_number(digits, &n))
        return LEAT_RANGE_NONE;
    if (n == 0 || size == 0)
        return LEAT_RANGE_UNSATISFIABLE;
    *out = (leat_range){n < size ? size - n : 0, size - 1};
    return LEAT_RANGE_PART;
}

leat_range_kind leat_range_read(leat_slice value, uint64_t size, leat_range *out)
{
    static const char unit[] = "bytes=";
    enum { UNIT_LEN = sizeof(unit) - 1 };
    if (value.at == NULL || value.len < UNIT_LEN || strncasecmp(value.at, unit, UNIT_LEN) != 0)
        return LEAT_RANGE_NONE;
    leat_slice spec = leat_http_head_trim((leat_slice){value.at + UNIT_LEN, value.len - UNIT_LEN});
    const char *dash = spec.len == 0 ? NULL : memchr(spec.at, '-', spec.len);
    if (dash == NULL)
        return LEAT_RANGE_NONE;
    leat_slice from = {spec.at, (size_t)(dash - spec.at)};
    leat_slice to = {dash + 1, spec.len - from.len - 1};
    if (from.len == 0)
        return read_suffix(to, size, out);
    uint64_t first = 0;
    uint64_t last = UINT64_MAX;
    if (!leat_http_head_number(from, &first) || (to.len > 0 && !leat_http_head_number(to, &last)) ||
        last < first)
        return LEAT_RANGE_NONE;
    if (first >= size)
        return LEAT_RANGE_UNSATISFIABLE;
    *out = (leat_range){first, last < size ? last : size - 1};
    return LEAT_RANGE_PART;
}
