/* main.c - what it costs to compress a message, and what it saves: the server's own codec, without
 * a server around it.
 *
 *   compression of=chat|watch|game|snapshot level=0..9 messages=N
 *
 * Messages as applications send them are made, each another one. Each is framed as the server does
 * it, at level 0 as it is. One line of JSON is printed.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/tool.h"
#include "wire/deflate.h"

enum { MOST_MESSAGES = 100000 };

/* Words for texts; how often one comes falls with its place, as in a language. */
static const char *const words[] = {
    "the",     "to",       "and",     "a",       "is",     "I",         "it",     "you",
    "that",    "we",       "of",      "in",      "for",    "this",      "on",     "be",
    "have",    "not",      "can",     "are",     "will",   "with",      "what",   "so",
    "deploy",  "tomorrow", "meeting", "please",  "ticket", "customer",  "broken", "fixed",
    "already", "review",   "morning", "thanks",  "server", "database",  "looks",  "weird",
    "again",   "release",  "version", "waiting", "ship",   "Thursday",  "lunch",  "anyone",
    "latency", "doubled",  "since",   "release", "graph",  "dashboard", "where",  "remember"};

typedef struct source {
    uint64_t state; /* of the generator: every run makes the same messages */
    leat_buf out;
} source;

/* xorshift64* */
static uint32_t draw(source *s, uint32_t below)
{
    s->state ^= s->state >> 12;
    s->state ^= s->state << 25;
    s->state ^= s->state >> 27;
    return (uint32_t)((s->state * UINT64_C(2685821657736338717)) >> 32) % below;
}

static void add_text(source *s, uint32_t n)
{
    enum { N_WORDS = sizeof(words) / sizeof(words[0]) };
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = draw(s, N_WORDS) * draw(s, N_WORDS) / N_WORDS;
        leat_buf_printf(&s->out, "%s%s", i > 0 ? " " : "", words[at]);
    }
}

static void add_uuid(source *s)
{
    leat_buf_printf(&s->out, "%08x-%04x-4%03x-%04x-%08x%04x", draw(s, UINT32_MAX), draw(s, 65536),
                    draw(s, 4096), 0x8000 + draw(s, 0x4000), draw(s, UINT32_MAX), draw(s, 65536));
}

static void add_chat(source *s)
{
    leat_buf_printf(&s->out, "{\"id\":%u,\"author\":\"%s%u\",\"body\":\"", draw(s, 10000000),
                    words[draw(s, 40)], draw(s, 100));
    add_text(s, 4 + draw(s, 16));
    leat_buf_text(&s->out, "\"}");
}

/* A row of a watched table. */
static void add_watch(source *s)
{
    leat_buf_text(&s->out,
                  "{\"action\":\"insert\",\"table\":\"public.messages\",\"row\":{\"id\":\"");
    add_uuid(s);
    leat_buf_text(&s->out, "\",\"chat_id\":\"");
    add_uuid(s);
    leat_buf_printf(&s->out, "\",\"author_id\":%u,\"body\":\"", draw(s, 100000));
    add_text(s, 8 + draw(s, 30));
    leat_buf_printf(
        &s->out,
        "\",\"created_at\":\"2026-11-%02uT%02u:%02u:%02u.%06u+00:00\",\"edited_at\":null,"
        "\"deleted\":false,\"reply_to\":null}}",
        1 + draw(s, 30), draw(s, 24), draw(s, 60), draw(s, 60), draw(s, 1000000));
}

/* A tick of a game with 20 players. */
static void add_game(source *s)
{
    leat_buf_printf(&s->out, "{\"tick\":%u,\"players\":[", draw(s, 1000000));
    for (int i = 0; i < 20; i++)
        leat_buf_printf(&s->out,
                        "%s{\"id\":%d,\"x\":%u.%02u,\"y\":%u.%02u,\"vx\":%d,\"vy\":%d,\"hp\":%u}",
                        i > 0 ? "," : "", i, draw(s, 2000), draw(s, 100), draw(s, 2000),
                        draw(s, 100), (int)draw(s, 21) - 10, (int)draw(s, 21) - 10, draw(s, 101));
    leat_buf_text(&s->out, "]}");
}

/* The last 50 messages of a chat. */
static void add_snapshot(source *s)
{
    leat_buf_char(&s->out, '[');
    for (int i = 0; i < 50; i++) {
        if (i > 0)
            leat_buf_char(&s->out, ',');
        add_chat(s);
    }
    leat_buf_char(&s->out, ']');
}

static void make_message(source *s, const char *of, int seq)
{
    static const struct {
        const char *of;
        void (*add)(source *s);
    } kinds[] = {
        {"chat", add_chat}, {"watch", add_watch}, {"game", add_game}, {"snapshot", add_snapshot}};
    s->out.len = 0;
    leat_buf_printf(&s->out, "{\"op\":\"event\",\"topic\":\"chat:4711\",\"seq\":%d,\"data\":", seq);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(of, kinds[i].of) == 0) {
            kinds[i].add(s);
            leat_buf_char(&s->out, '}');
            return;
        }
    tool_fail("of=%s: it is chat, watch, game or snapshot", of);
}

static double cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

int main(int argc, char **argv)
{
    (void)argc;
    const char *of = tool_option(argv, "of", "chat");
    int level = (int)tool_number(argv, "level", 1);
    int n = (int)tool_number(argv, "messages", 5000);
    if (level < 0 || level > 9 || n < 1 || n > MOST_MESSAGES)
        tool_fail("level=0..9 messages=1..%d", MOST_MESSAGES);
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    leat_deflate *z = level > 0 ? leat_deflate_new(level, 0) : NULL;
    size_t codec = mallinfo2().uordblks + mallinfo2().hblkhd - before;
    source s = {.state = 88172645463325252, .out = LEAT_BUF_INIT};
    leat_buf frame = LEAT_BUF_INIT;
    double us = 0;
    double plain = 0;
    double sent = 0;
    for (int i = 0; i < n; i++) {
        make_message(&s, of, i);
        double began = cpu_us();
        frame.len = 0;
        if (z == NULL || !leat_deflate_frame(z, LEAT_FRAME_TEXT, leat_buf_view(&s.out), 15, &frame))
            leat_frame_write(&frame, LEAT_FRAME_TEXT, leat_buf_view(&s.out));
        us += cpu_us() - began;
        plain += (double)(s.out.len + leat_frame_header_len(s.out.len));
        sent += (double)frame.len;
    }
    printf("{\"message\":{\"us\":%.3f,\"plain\":%.1f,\"bytes\":%.1f,\"percent\":%.1f,\"codec_kb\":%"
           ".1f}}\n",
           us / n, plain / n, sent / n, 100 * sent / plain, (double)codec / 1024);
    leat_deflate_free(z);
    leat_buf_close(&s.out);
    leat_buf_close(&frame);
    return 0;
}
