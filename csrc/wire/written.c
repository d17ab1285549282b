/* written.c - a report is cut into lines, and each line into its fields, from the left. */
#include "wire/written.h"

#include <string.h>

#include "wire/leat_v1.h"

enum { SEQ_MAX_DIGITS = 16 };

/* Cuts off *rest what stands before the separator, or all of it if there is none. */
static leat_slice cut(leat_slice *rest, char separator)
{
    const char *end = rest->len == 0 ? NULL : memchr(rest->at, separator, rest->len);
    if (end == NULL) {
        leat_slice all = *rest;
        *rest = (leat_slice){rest->at + rest->len, 0};
        return all;
    }
    leat_slice field = {rest->at, (size_t)(end - rest->at)};
    *rest = (leat_slice){end + 1, rest->len - field.len - 1};
    return field;
}

static bool parse_seq(leat_slice text, int64_t *out)
{
    int64_t n = 0;
    if (text.len == 0 || text.len > SEQ_MAX_DIGITS)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        n = n * 10 + (text.at[i] - '0');
    }
    *out = n;
    return n > 0 && n <= LEAT_SEQ_MAX;
}

static bool parse_line(leat_slice line, leat_written_position *out)
{
    out->epoch = cut(&line, ' ');
    leat_slice seq = cut(&line, ' ');
    out->topic = line;
    return out->epoch.len > 0 && parse_seq(seq, &out->seq) && leat_v1_topic_ok(out->topic);
}

static bool is_report(leat_slice report)
{
    leat_written_position at;
    bool ok = cut(&report, '\n').len > 0 && report.len > 0;
    while (ok && report.len > 0)
        ok = parse_line(cut(&report, '\n'), &at);
    return ok;
}

bool leat_written_next(leat_slice *lines, leat_written_position *out)
{
    return lines->len > 0 && parse_line(cut(lines, '\n'), out);
}

/* Takes the line at that place out. */
static void take_out(leat_buf *lines, size_t at, size_t len)
{
    memmove(lines->at + at, lines->at + at + len, lines->len - at - len);
    lines->len -= len;
}

/* Takes out the topic's line, or the oldest one if there is no room for another. */
static void make_room(leat_buf *lines, leat_slice topic)
{
    leat_slice rest = leat_buf_view(lines);
    leat_written_position known;
    size_t n = 0;
    size_t first_len = 0;
    for (size_t at = 0; leat_written_next(&rest, &known); at = lines->len - rest.len, n++) {
        size_t len = lines->len - rest.len - at;
        if (n == 0)
            first_len = len;
        if (leat_slice_equal(known.topic, topic)) {
            take_out(lines, at, len);
            return;
        }
    }
    if (n >= LEAT_WRITTEN_MAX)
        take_out(lines, 0, first_len);
}

int leat_written_add(leat_buf *lines, leat_slice report)
{
    if (!is_report(report))
        return LEAT_EBADMSG;
    leat_slice timeline = cut(&report, '\n');
    leat_written_position at;
    while (leat_written_next(&report, &at)) {
        make_room(lines, at.topic);
        leat_buf_slice(lines, timeline);
        leat_buf_char(lines, '-');
        leat_buf_slice(lines, at.epoch);
        leat_buf_char(lines, ' ');
        leat_buf_int(lines, at.seq);
        leat_buf_char(lines, ' ');
        leat_buf_slice(lines, at.topic);
        leat_buf_char(lines, '\n');
    }
    return 0;
}

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!$&'()*+-./:;=?@_~", c) != NULL);
}

static void put_encoded(leat_buf *out, leat_slice topic)
{
    for (size_t i = 0; i < topic.len; i++) {
        if (is_plain(topic.at[i]))
            leat_buf_char(out, topic.at[i]);
        else
            leat_buf_printf(out, "%%%02X", (unsigned char)topic.at[i]);
    }
}

void leat_written_write_header(leat_buf *out, leat_slice lines)
{
    leat_written_position at;
    const char *before = "Leat-Position: ";
    if (lines.len == 0)
        return;
    while (leat_written_next(&lines, &at)) {
        leat_buf_text(out, before);
        put_encoded(out, at.topic);
        leat_buf_char(out, ' ');
        leat_buf_slice(out, at.epoch);
        leat_buf_char(out, ':');
        leat_buf_int(out, at.seq);
        before = ", ";
    }
    leat_buf_text(out, "\r\n");
}
