/* What a line of the log holds of foreign bytes: quoted, it is one word of UTF-8 and printable
 * ASCII that no reader takes for another field, and a line stays one line. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/log_json.h"
#include "base/utf8.h"
#include "fuzz.h"

static void check_quoted(const char *q, size_t room, const char *text, size_t len)
{
    size_t n = strlen(q);
    CHECK(n < room);
    bool utf8 = leat_utf8_valid(text, len);
    CHECK(!utf8 || leat_utf8_valid(q, n));
    bool quoted = n > 0 && q[0] == '"';
    CHECK(!quoted || (n >= 2 && q[n - 1] == '"'));
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)q[i];
        CHECK(c >= 0x20 && c != 0x7f && (utf8 || c < 0x80));
        CHECK(quoted || (c != ' ' && c != '=' && c != '"' && c != '\\'));
        if (quoted && i > 0 && i < n - 1) {
            CHECK(c != '"');
            if (c == '\\')
                i++; /* what it escapes */
        }
    }
}

typedef struct seen {
    size_t lines;
} seen;

static void on_line(void *arg, leat_log_level level, const char *line, size_t len)
{
    (void)level;
    ((seen *)arg)->lines++;
    for (size_t i = 0; i < len; i++)
        CHECK((unsigned char)line[i] >= 0x20 && line[i] != 0x7f);
}

/* Reads the object as a reader of JSON does that looks only for where strings and numbers end. */
static void check_json(const char *line, size_t len)
{
    char *out = malloc(LEAT_LOG_JSON_MAX(len));
    size_t n = leat_log_json(out, line, len);
    CHECK(n <= LEAT_LOG_JSON_MAX(len) && leat_utf8_valid(out, n));
    CHECK(out[0] == '{' && out[n - 1] == '}');
    bool in_string = false;
    for (size_t i = 1; i < n - 1; i++) {
        char c = out[i];
        CHECK((unsigned char)c >= 0x20 && c != 0x7f);
        if (in_string && c == '\\')
            CHECK(strchr("\"\\n", out[++i]) != NULL);
        else if (c == '"')
            in_string = !in_string;
        else
            CHECK(in_string || strchr(",:-.0123456789", c) != NULL);
    }
    CHECK(!in_string);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t rooms[] = {1, 2, 3, 5, 6, 7, 16, 300, 8192};
    const char *text = (const char *)data;
    char *copy = malloc(size + 1); /* exactly as long as it is, for the address sanitizer */
    memcpy(copy, text, size);
    copy[size] = '\0';
    seen s = {0};
    leat_log *log = leat_log_new(LEAT_LOG_LEVEL_DEBUG, on_line, &s);
    leat_log_bind(log);
    check_json(text, size);
    for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
        char *out = malloc(rooms[i]);
        leat_log_quote(out, rooms[i], copy, size);
        check_quoted(out, rooms[i], copy, size);
        LEAT_LOG_INFO("fuzz", "quoted text=%s raw=%s", out, copy);
        leat_log_write_text(LEAT_LOG_LEVEL_INFO, "fuzz", copy, out);
        free(out);
    }
    CHECK(s.lines == 2 * sizeof(rooms) / sizeof(rooms[0]));
    leat_log_bind(NULL);
    leat_log_free(log);
    free(copy);
    return 0;
}
