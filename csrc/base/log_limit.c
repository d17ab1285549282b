/* log_limit.c - token buckets: one for each kind of line, and two for all bytes.
 *
 * The buckets of the kinds lie in sets of WAYS entries. An entry is given to another kind only if
 * its bucket is full and it has nothing to report. So an application that invents kinds (messages
 * that contain a client's text) does not get more lines: kinds without an entry share one.
 */
#include "base/log_limit.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
    SETS = 64, /* of the source's kinds */
    INVENTED_SETS = 16,
    WAYS = 4,
    ENTRIES = (SETS + INVENTED_SETS) * WAYS,
    SHARED = ENTRIES, /* the entry of all kinds without one of their own */
    INVENTED_SHARED,
    ALL_ENTRIES,
    REPORT_MS = 5000, /* between two reports about one kind */
};

/* Tokens are counted in thousandths: a rate a second is as many thousandths a millisecond. */
#define TOKEN INT64_C(1000)

typedef struct bucket {
    int64_t tokens;
    uint64_t filled_ms;
} bucket;

typedef struct entry {
    uint64_t kind;
    bucket lines;
    uint64_t left_out;
    uint64_t reported_ms;               /* or when the first line was left out */
    int level;                          /* the highest that was left out */
    char phrase[LEAT_LOG_LIMIT_PHRASE]; /* "": no kind has the entry */
} entry;

struct leat_log_limit {
    leat_log_limit_options options;
    bucket bytes;
    bucket urgent_bytes;
    entry entries[ALL_ENTRIES];
};

static void fill(bucket *b, uint64_t rate, uint64_t burst, uint64_t now_ms)
{
    int64_t most = (int64_t)burst * TOKEN;
    uint64_t passed = now_ms > b->filled_ms ? now_ms - b->filled_ms : 0;
    b->filled_ms = now_ms;
    /* Compared before it is multiplied: after a long silence the product would not fit. */
    if (b->tokens >= most || passed > (uint64_t)(most - b->tokens) / rate)
        b->tokens = most;
    else
        b->tokens += (int64_t)(passed * rate);
}

leat_log_limit *leat_log_limit_new(const leat_log_limit_options *options, uint64_t now_ms)
{
    leat_log_limit *l = leat_calloc(1, sizeof(*l));
    l->options = *options;
    l->bytes = (bucket){(int64_t)options->bytes_burst * TOKEN, now_ms};
    l->urgent_bytes = l->bytes;
    for (size_t i = SHARED; i < ALL_ENTRIES; i++) {
        l->entries[i].lines = (bucket){(int64_t)options->burst * TOKEN, now_ms};
        memcpy(l->entries[i].phrase, "(others)", sizeof("(others)"));
    }
    return l;
}

void leat_log_limit_free(leat_log_limit *l)
{
    free(l);
}

/* The constant words of a phrase: up to the first key=value or conversion. */
static void copy_phrase(char out[LEAT_LOG_LIMIT_PHRASE], const char *phrase)
{
    size_t n = 0;
    size_t words = 0; /* the length up to the end of the last whole word */
    for (;
         phrase[n] != '\0' && phrase[n] != '=' && phrase[n] != '%' && n < LEAT_LOG_LIMIT_PHRASE - 1;
         n++) {
        if (phrase[n] == ' ')
            words = n;
        out[n] = phrase[n];
    }
    bool whole = phrase[n] != '=' && phrase[n] != '%';
    out[whole ? n : words] = '\0';
    if (out[0] == '\0')
        memcpy(out, "-", 2);
}

static bool is_unused(entry *s, const leat_log_limit_options *o, uint64_t now_ms)
{
    if (s->phrase[0] == '\0')
        return true;
    fill(&s->lines, o->rate, o->burst, now_ms);
    return s->left_out == 0 && s->lines.tokens == (int64_t)o->burst * TOKEN;
}

static entry *find(leat_log_limit *l, const leat_log_limit_line *line, uint64_t now_ms)
{
    /* Multiplied, so that neighbouring addresses end in different sets. */
    size_t hash = (size_t)((line->kind * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
    size_t set = line->invented ? SETS + hash % INVENTED_SETS : hash % SETS;
    entry *spare = NULL;
    for (size_t i = set * WAYS; i < (set + 1) * WAYS; i++) {
        entry *s = &l->entries[i];
        if (s->phrase[0] != '\0' && s->kind == line->kind)
            return s;
        if (spare == NULL && is_unused(s, &l->options, now_ms))
            spare = s;
    }
    if (spare == NULL)
        return &l->entries[line->invented ? INVENTED_SHARED : SHARED];
    *spare = (entry){.kind = line->kind, .lines = {(int64_t)l->options.burst * TOKEN, now_ms}};
    copy_phrase(spare->phrase, line->phrase);
    return spare;
}

bool leat_log_limit_admit(leat_log_limit *l, const leat_log_limit_line *line, uint64_t now_ms)
{
    entry *s = find(l, line, now_ms);
    bucket *bytes = line->urgent ? &l->urgent_bytes : &l->bytes;
    fill(&s->lines, l->options.rate, l->options.burst, now_ms);
    fill(bytes, l->options.bytes_rate, l->options.bytes_burst, now_ms);
    if (s->lines.tokens >= TOKEN && bytes->tokens > 0) {
        s->lines.tokens -= TOKEN;
        return true;
    }
    if (s->left_out++ == 0) {
        s->reported_ms = now_ms;
        s->level = line->level;
    }
    s->level = line->level > s->level ? line->level : s->level;
    return false;
}

void leat_log_limit_charge(leat_log_limit *l, bool urgent, size_t bytes)
{
    (urgent ? &l->urgent_bytes : &l->bytes)->tokens -= (int64_t)bytes * TOKEN;
}

bool leat_log_limit_take(leat_log_limit *l, uint64_t now_ms, bool all, leat_log_limit_report *out)
{
    for (size_t i = 0; i < ALL_ENTRIES; i++) {
        entry *s = &l->entries[i];
        if (s->left_out == 0 || (!all && now_ms - s->reported_ms < REPORT_MS))
            continue;
        memcpy(out->phrase, s->phrase, sizeof(out->phrase));
        out->level = s->level;
        out->lines = s->left_out;
        s->left_out = 0;
        return true;
    }
    return false;
}
