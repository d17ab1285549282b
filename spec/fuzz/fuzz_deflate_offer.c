/* What is accepted of any header is well-formed, and answered with a window that was offered. */
#include "fuzz.h"

#include "wire/deflate_offer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    leat_http_header header = {
        .name = {"sec-websocket-extensions", 24},
        .value = {(const char *)data, size},
    };
    leat_http_request request = {.headers = &header, .n_headers = 1};
    leat_deflate_terms terms;
    leat_deflate_answer answer = leat_deflate_read_offers(&request, &terms);
    if (answer == LEAT_DEFLATE_ACCEPTED) {
        leat_buf line = LEAT_BUF_INIT;
        CHECK(terms.window_bits >= 8 && terms.window_bits <= 15);
        leat_deflate_write_answer(&line, &terms);
        leat_buf_close(&line);
    } else if (answer == LEAT_DEFLATE_DECLINED) {
        CHECK(terms.window_bits == 0);
    }
    return 0;
}
