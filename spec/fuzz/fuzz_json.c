/* The reader's ways through a text must agree: token by token, validating, skipping. What was
 * decoded must survive being written and read again. */
#include "fuzz.h"

#include "base/utf8.h"
#include "wire/json.h"

static void check_string(leat_slice text)
{
    CHECK(leat_utf8_valid(text.at, text.len));
    leat_buf json = LEAT_BUF_INIT;
    leat_buf scratch = LEAT_BUF_INIT;
    CHECK(leat_json_write_string(&json, text) == 0);
    leat_json_reader r;
    leat_json_token token = LEAT_JSON_END;
    leat_json_reader_init(&r, leat_buf_view(&json), &scratch, 0);
    CHECK(leat_json_next(&r, &token) == 0 && token == LEAT_JSON_STRING);
    CHECK(leat_slice_equal(r.text, text));
    CHECK(leat_json_next(&r, &token) == 0 && token == LEAT_JSON_END);
    leat_buf_close(&json);
    leat_buf_close(&scratch);
}

static void check_number(leat_slice text)
{
    CHECK(leat_json_validate(text, 0) == 0);
    int64_t n = 0;
    if (!leat_json_int(text, &n))
        return;
    leat_buf json = LEAT_BUF_INIT;
    leat_json_write_int(&json, n);
    CHECK(leat_slice_equal(leat_buf_view(&json), text));
    leat_buf_close(&json);
}

static int read_tokens(leat_slice text, uint32_t max_depth)
{
    leat_buf scratch = LEAT_BUF_INIT;
    leat_json_reader r;
    leat_json_token token = LEAT_JSON_NULL;
    leat_json_reader_init(&r, text, &scratch, max_depth);
    int err = 0;
    while (err == 0 && token != LEAT_JSON_END) {
        err = leat_json_next(&r, &token);
        CHECK(r.depth <= max_depth && leat_json_offset(&r) <= text.len);
        if (err == 0 && (token == LEAT_JSON_STRING || token == LEAT_JSON_KEY))
            check_string(r.text);
        if (err == 0 && token == LEAT_JSON_NUMBER)
            check_number(r.text);
    }
    CHECK((err < 0) == (r.reason != NULL));
    leat_buf_close(&scratch);
    return err;
}

static int skip(leat_slice text, uint32_t max_depth)
{
    leat_json_reader r;
    leat_json_token token = LEAT_JSON_NULL;
    leat_slice raw = {NULL, 0};
    leat_json_reader_init(&r, text, NULL, max_depth);
    int err = leat_json_skip(&r, &raw);
    if (err == 0)
        CHECK(leat_json_validate(raw, max_depth) == 0);
    return err < 0 ? err : leat_json_next(&r, &token);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    uint32_t max_depth = data[0] % (LEAT_JSON_MAX_DEPTH + 1);
    leat_slice text = {(const char *)data + 1, size - 1};
    int err = leat_json_validate(text, max_depth);
    CHECK(read_tokens(text, max_depth) == err);
    CHECK(skip(text, max_depth) == err);
    leat_buf out = LEAT_BUF_INIT;
    CHECK((leat_json_write_string(&out, text) == 0) == leat_utf8_valid(text.at, text.len));
    double n = 0;
    memcpy(&n, data, size < sizeof(n) ? size : sizeof(n));
    out.len = 0;
    if (leat_json_write_double(&out, n) == 0) {
        CHECK(leat_json_validate(leat_buf_view(&out), 0) == 0);
        leat_buf_char(&out, '\0');
        CHECK(strtod(out.at, NULL) == n);
    }
    leat_buf_close(&out);
    return 0;
}
