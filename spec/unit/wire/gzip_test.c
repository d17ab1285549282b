#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "wire/gzip.h"

static leat_coding wanted(const char *first, const char *second)
{
    leat_http_header headers[2] = {
        {leat_slice_of("accept-encoding"), leat_slice_of(first)},
        {leat_slice_of("accept-encoding"), leat_slice_of(second)},
    };
    size_t n = second != NULL ? 2 : first != NULL ? 1 : 0;
    leat_http_request r = {.headers = headers, .n_headers = n};
    return leat_gzip_wanted(&r);
}

static void weighs_codings(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        leat_coding coding;
    } cases[] = {
        {NULL, LEAT_CODING_PLAIN},
        {"", LEAT_CODING_PLAIN},
        {"gzip", LEAT_CODING_GZIP},
        {"compress, gzip", LEAT_CODING_GZIP},
        {"*", LEAT_CODING_GZIP},
        {"compress;q=0.5, gzip;q=1.0", LEAT_CODING_GZIP},
        {"gzip;q=1.0, identity; q=0.5, *;q=0", LEAT_CODING_GZIP},
        {"gzip;q=0.4, identity;q=0.5", LEAT_CODING_PLAIN},
        {"gzip;q=0", LEAT_CODING_PLAIN},
        {"*;q=0, gzip", LEAT_CODING_GZIP_ONLY},
        {"identity;q=0", LEAT_CODING_NEITHER},
        {"identity;q=0, gzip;q=0.1", LEAT_CODING_GZIP_ONLY},
        {"*;q=0", LEAT_CODING_NEITHER},
        {"*;q=0, identity;q=0.1", LEAT_CODING_PLAIN},
        {"gzip;q=1.001", LEAT_CODING_PLAIN},
        {"gzip;q=-1", LEAT_CODING_PLAIN},
        {"gzip;q=0.", LEAT_CODING_PLAIN},
        {"gzip;q=.5", LEAT_CODING_PLAIN},
        {"gzip;", LEAT_CODING_PLAIN},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (wanted(cases[i].value, NULL) != cases[i].coding)
            fail_msg("%s", cases[i].value == NULL ? "(none)" : cases[i].value);
    assert_int_equal(wanted("br", "gzip"), LEAT_CODING_GZIP);
    assert_int_equal(wanted("gzip", "identity;q=0"), LEAT_CODING_GZIP_ONLY);
}

static void knows_types_that_gain(void **state)
{
    (void)state;
    static const char *const yes[] = {"text/html; charset=utf-8", "TEXT/css", "application/json",
                                      "application/ld+json ; a=b", "image/svg+xml"};
    static const char *const no[] = {"image/png",
                                     "font/woff2",
                                     "application/octet-stream",
                                     "video/mp4",
                                     "application/jsonp",
                                     "+json",
                                     "",
                                     "text"};
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
        assert_true(leat_gzip_helps(leat_slice_of(yes[i])));
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        assert_false(leat_gzip_helps(leat_slice_of(no[i])));
}

static void what_it_writes_can_be_read(void **state)
{
    (void)state;
    enum { PARTS = 100 };
    static const char part[] = "all work and no play makes Jack a dull boy; ";
    leat_buf out = LEAT_BUF_INIT;
    leat_gzip *z = leat_gzip_new(6, 100000);
    for (int i = 0; i < PARTS; i++)
        assert_true(leat_gzip_feed(z, leat_slice_of(part), false, &out));
    assert_true(leat_gzip_feed(z, leat_slice_of(""), true, &out));
    leat_gzip_free(z);

    char plain[PARTS * sizeof(part)];
    z_stream s = {.next_in = (Bytef *)out.at,
                  .avail_in = (uInt)out.len,
                  .next_out = (Bytef *)plain,
                  .avail_out = sizeof(plain)};
    assert_int_equal(inflateInit2(&s, 15 + 16), Z_OK);
    assert_int_equal(inflate(&s, Z_FINISH), Z_STREAM_END);
    assert_int_equal(s.total_out, PARTS * (sizeof(part) - 1));
    assert_int_equal(s.avail_in, 0);
    for (int i = 0; i < PARTS; i++)
        assert_memory_equal(plain + i * (sizeof(part) - 1), part, sizeof(part) - 1);
    inflateEnd(&s);
    leat_buf_close(&out);
}

static void stops_when_it_gets_too_long(void **state)
{
    (void)state;
    leat_buf out = LEAT_BUF_INIT;
    leat_gzip *z = leat_gzip_new(9, 20);
    assert_false(leat_gzip_feed(
        z, leat_slice_of("a few words are longer with a frame of their own"), true, &out));
    leat_gzip_free(z);
    leat_buf_close(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weighs_codings),
        cmocka_unit_test(knows_types_that_gain),
        cmocka_unit_test(what_it_writes_can_be_read),
        cmocka_unit_test(stops_when_it_gets_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
