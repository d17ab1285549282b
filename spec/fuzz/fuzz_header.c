/* Headers with a form of their own: Cookie and Accept-Encoding. The input is the value of one line.
 * What a browser or a proxy appends must be read as it says, whatever stands before it. */
#include "fuzz.h"

#include <string.h>

#include "base/buf.h"
#include "wire/gzip.h"
#include "wire/http.h"

static bool has_char(leat_slice s, char c)
{
    return s.len > 0 && memchr(s.at, c, s.len) != NULL;
}

static bool is_inside(leat_slice part, leat_slice all)
{
    return part.len == 0 || (part.at >= all.at && part.at + part.len <= all.at + all.len);
}

/* Returns how many there are; the last one is written to name and value. */
static size_t walk_cookies(leat_slice line, leat_slice *name, leat_slice *value)
{
    leat_slice rest = line;
    size_t n = 0;
    while (leat_http_cookie_next(&rest, name, value)) {
        CHECK(name->len > 0 && !has_char(*name, '=') && !has_char(*name, ';'));
        CHECK(!has_char(*value, ';'));
        CHECK(is_inside(*name, line) && is_inside(*value, line));
        n++;
    }
    CHECK(rest.len == 0 && n <= line.len / 2);
    return n;
}

static void check_cookies(leat_slice input)
{
    leat_slice name, value;
    leat_buf longer = LEAT_BUF_INIT;
    size_t n = walk_cookies(input, &name, &value);
    leat_buf_slice(&longer, input);
    leat_buf_text(&longer, "; sid=a=b");
    CHECK(walk_cookies(leat_buf_view(&longer), &name, &value) == n + 1);
    CHECK(leat_slice_is(name, "sid") && leat_slice_is(value, "a=b"));
    leat_buf_close(&longer);
}

static leat_coding wanted(leat_slice first, const char *second)
{
    leat_http_header headers[] = {
        {leat_slice_of("accept-encoding"), first},
        {leat_slice_of("accept-encoding"), leat_slice_of(second)},
    };
    leat_http_request r = {.headers = headers, .n_headers = 2};
    return leat_gzip_wanted(&r);
}

/* Two lines are one list. */
static void check_joined(leat_slice input, const char *second, leat_coding expected)
{
    leat_buf joined = LEAT_BUF_INIT;
    leat_buf_slice(&joined, input);
    leat_buf_printf(&joined, ",%s", second);
    CHECK(wanted(input, second) == expected);
    CHECK(wanted(leat_buf_view(&joined), "") == expected);
    leat_buf_close(&joined);
}

static void check_codings(leat_slice input)
{
    leat_coding alone = wanted(input, "");
    CHECK(alone == wanted(input, ", ,br;q=0.9,gzip;q=2,gzip;level=1"));
    check_joined(input, "gzip, identity;q=0.5", LEAT_CODING_GZIP);
    check_joined(input, "gzip;q=0, identity", LEAT_CODING_PLAIN);
    check_joined(input, "GZIP;q=0.001, identity;q=0", LEAT_CODING_GZIP_ONLY);
    check_joined(input, "gzip;q=0.000, identity;q=0", LEAT_CODING_NEITHER);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size > 0 ? size : 1);
    memcpy(copy, data, size);
    check_cookies((leat_slice){copy, size});
    check_codings((leat_slice){copy, size});
    free(copy);
    return 0;
}
