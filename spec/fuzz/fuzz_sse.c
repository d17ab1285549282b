/* What Last-Event-ID says must be a position, or none; and a position that is written comes back.
 */
#include "fuzz.h"

#include <string.h>

#include "wire/leat_v1.h"
#include "wire/sse.h"

static void check_round_trip(leat_slice epoch, int64_t seq)
{
    leat_buf text = LEAT_BUF_INIT;
    leat_slice again;
    int64_t n = -1;
    leat_buf_slice(&text, epoch);
    leat_buf_char(&text, ':');
    leat_buf_int(&text, seq);
    CHECK(leat_sse_parse_id(leat_buf_view(&text), &again, &n));
    CHECK(leat_slice_equal(again, epoch) && n == seq);
    leat_buf_close(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A copy of just that size, so that a byte too far is seen. */
    char *copy = malloc(size > 0 ? size : 1);
    memcpy(copy, data, size);
    leat_slice epoch = {NULL, 0};
    int64_t seq = -1;
    if (leat_sse_parse_id((leat_slice){copy, size}, &epoch, &seq)) {
        CHECK(epoch.at == copy && epoch.len > 0 && epoch.len < size);
        CHECK(copy[epoch.len] == ':');
        CHECK(seq >= 0 && seq <= LEAT_SEQ_MAX);
        check_round_trip(epoch, seq);
    }
    free(copy);
    return 0;
}
