/* log_json.c - leat_log_json: put_word for each word of the head -> put_rest -> put_field.
 *
 * The fields are read from the text of the line, so that those who log need to know one form only.
 * Words without a key belong to what stands before them: the message, or the value of a field.
 */
#include "base/log_json.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/err.h"
#include "base/utf8.h"

enum { MAX_DIGITS = 15 }; /* a double, which many readers make of it, has so many */

typedef struct writer {
    char *at;
    bool utf8; /* the line is UTF-8; otherwise its bytes beyond ASCII are written as "?" */
} writer;

static void put(writer *w, const char *text)
{
    size_t len = strlen(text);
    memcpy(w->at, text, len);
    w->at += len;
}

static void put_char(writer *w, char c)
{
    unsigned char byte = (unsigned char)c;
    if (c == '"' || c == '\\')
        *w->at++ = '\\';
    if (byte < 0x20 || byte == 0x7f)
        *w->at++ = ' ';
    else
        *w->at++ = byte < 0x80 || w->utf8 ? c : '?';
}

static void put_string(writer *w, const char *at, const char *end)
{
    *w->at++ = '"';
    while (at < end)
        put_char(w, *at++);
    *w->at++ = '"';
}

/* Returns where the word ends that begins here. */
static const char *word_end(const char *at, const char *end)
{
    while (at < end && *at != ' ')
        at++;
    return at;
}

/* Returns where the quoted text ends that begins here with its quote, which is behind the closing
 * one, or the end if that is missing. */
static const char *quoted_end(const char *at, const char *end)
{
    for (at++; at < end; at++) {
        if (*at == '\\' && at + 1 < end)
            at++;
        else if (*at == '"')
            return at + 1;
    }
    return end;
}

/* Writes what stands between quotes. The log's escapes are \" \\ \n and \xNN; JSON has no \x, so
 * those four characters stand as they are. */
static void put_quoted(writer *w, const char *at, const char *end)
{
    *w->at++ = '"';
    for (; at < end; at++) {
        char next = at + 1 < end ? at[1] : '\0';
        if (*at == '\\' && next == 'n') {
            put(w, "\\n");
            at++;
            continue;
        }
        if (*at == '\\' && (next == '"' || next == '\\'))
            at++;
        put_char(w, *at);
    }
    *w->at++ = '"';
}

static bool is_number(const char *at, const char *end)
{
    if (at < end && *at == '-')
        at++;
    if (at == end || end - at > MAX_DIGITS || (*at == '0' && end - at > 1 && at[1] != '.'))
        return false;
    int points = 0;
    for (const char *c = at; c < end; c++) {
        bool point = *c == '.' && c > at && c + 1 < end;
        points += point;
        if (!point && !isdigit((unsigned char)*c))
            return false;
    }
    return points <= 1;
}

/* Writes the text, without its quotes and escapes if all of it is quoted. */
static void put_text(writer *w, const char *at, const char *end)
{
    if (end - at >= 2 && *at == '"' && quoted_end(at, end) == end && end[-1] == '"')
        put_quoted(w, at + 1, end - 1);
    else
        put_string(w, at, end);
}

/* Returns where the value of the field begins that stands here, or NULL: no field stands here. */
static const char *field_value(const char *at, const char *end)
{
    const char *c = at;
    while (c < end && (isalnum((unsigned char)*c) || strchr("_.-", *c) != NULL) && *c != '\0')
        c++;
    return c > at && c < end && *c == '=' ? c + 1 : NULL;
}

static bool is_taken(const char *key, size_t len)
{
    static const char *const taken[] = {"time", "level", "subsystem", "message"};
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        if (strlen(taken[i]) == len && memcmp(taken[i], key, len) == 0)
            return true;
    }
    return false;
}

/* Returns where the text ends that begins here: before the next field, or at the end. A quoted text
 * may hold what looks like a field. */
static const char *text_end(const char *at, const char *end)
{
    const char *stop = at < end && *at == '"' ? quoted_end(at, end) : word_end(at, end);
    while (stop < end && (*stop != ' ' || field_value(stop + 1, end) == NULL))
        stop = word_end(stop + 1, end);
    return stop;
}

/* Writes the field that stands here, and returns where it ends. */
static const char *put_field(writer *w, const char *at, const char *end)
{
    const char *value = field_value(at, end);
    const char *stop = text_end(value, end);
    size_t key_len = (size_t)(value - 1 - at);
    put(w, ",\"");
    memcpy(w->at, at, key_len);
    w->at += key_len;
    put(w, is_taken(at, key_len) ? "_\":" : "\":");
    if (is_number(value, stop)) {
        memcpy(w->at, value, (size_t)(stop - value));
        w->at += stop - value;
    } else {
        put_text(w, value, stop);
    }
    return stop;
}

/* Writes the text of the line: its message, and its fields. */
static void put_rest(writer *w, const char *at, const char *end)
{
    const char *stop = field_value(at, end) == NULL ? text_end(at, end) : at;
    put(w, ",\"message\":");
    put_text(w, at, stop);
    for (at = stop; at < end;)
        at = put_field(w, at + (*at == ' '), end);
}

static const char *put_word(writer *w, const char *key, const char *at, const char *end, bool lower)
{
    const char *stop = word_end(at, end);
    put(w, key);
    *w->at++ = '"';
    for (; at < stop; at++)
        put_char(w, lower ? (char)tolower((unsigned char)*at) : *at);
    *w->at++ = '"';
    return stop + (stop < end);
}

size_t leat_log_json(char *out, const char *line, size_t len)
{
    writer w = {out, leat_utf8_valid(line, len)};
    const char *end = line + len;
    const char *at = put_word(&w, "{\"time\":", line, end, false);
    at = put_word(&w, ",\"level\":", at, end, true);
    at = put_word(&w, ",\"subsystem\":", at, end, false);
    put_rest(&w, at, end);
    put(&w, "}");
    LEAT_ASSERT((size_t)(w.at - out) <= LEAT_LOG_JSON_MAX(len));
    return (size_t)(w.at - out);
}
