/* redact.c - gathers the secrets of the head (the add_ functions), then walks the text once. */
#include "wire/redact.h"

#include <strings.h>

#include "base/log.h"
#include "wire/upgrade.h"

/* The cookies that a script sees (256), each also without its quotes, and a few more. */
enum { MAX_SECRETS = 544, MIN_LEN = 8 };

typedef struct secrets {
    leat_slice items[MAX_SECRETS];
    size_t count;
} secrets;

static void add(secrets *s, leat_slice value)
{
    if (value.len >= MIN_LEN && s->count < MAX_SECRETS)
        s->items[s->count++] = value;
}

/* "Bearer x": the whole, and x. */
static void add_credentials(secrets *s, leat_slice value)
{
    const char *space = value.len == 0 ? NULL : memrchr(value.at, ' ', value.len);
    add(s, value);
    if (space != NULL)
        add(s, (leat_slice){space + 1, value.len - (size_t)(space - value.at) - 1});
}

static void add_cookies(secrets *s, leat_slice line)
{
    leat_slice name;
    leat_slice value;
    while (leat_http_cookie_next(&line, &name, &value)) {
        add(s, value);
        if (value.len > 2 && value.at[0] == '"')
            add(s, (leat_slice){value.at + 1, value.len - 2});
    }
}

static void add_protocols(secrets *s, leat_slice list)
{
    leat_slice item;
    while (leat_http_list_next(&list, &item))
        if (!leat_slice_is(item, LEAT_UPGRADE_SUBPROTOCOL))
            add(s, item);
}

/* The tokens of a query, as they were sent. */
static void add_query(secrets *s, leat_slice query)
{
    static const char name[] = "token=";
    const size_t n = sizeof(name) - 1;
    for (leat_slice rest = query; rest.len > 0;) {
        const char *end = memchr(rest.at, '&', rest.len);
        size_t len = end == NULL ? rest.len : (size_t)(end - rest.at);
        if (len > n && strncasecmp(rest.at, name, n) == 0)
            add(s, (leat_slice){rest.at + n, len - n});
        size_t used = end == NULL ? len : len + 1;
        rest = (leat_slice){rest.at + used, rest.len - used};
    }
}

/* The page that a browser comes from may have a token in its address, too. */
static void add_referer(secrets *s, leat_slice url)
{
    const char *mark = url.len == 0 ? NULL : memchr(url.at, '?', url.len);
    if (mark != NULL)
        add_query(s, (leat_slice){mark + 1, url.len - (size_t)(mark - url.at) - 1});
}

static void add_header(secrets *s, leat_slice name, leat_slice value)
{
    if (leat_slice_is(name, "authorization") || leat_slice_is(name, "proxy-authorization"))
        add_credentials(s, value);
    else if (leat_slice_is(name, "cookie"))
        add_cookies(s, value);
    else if (leat_slice_is(name, "sec-websocket-protocol"))
        add_protocols(s, value);
    else if (leat_slice_is(name, "referer"))
        add_referer(s, value);
}

/* scratch gets the query's token as the script sees it. */
static secrets gather(const leat_head *head, leat_buf *scratch)
{
    secrets s = {.count = 0};
    leat_slice name;
    leat_slice value;
    add(&s, head->token);
    add_query(&s, head->query);
    if (head->query.at != NULL && leat_http_query_get(head->query, "token", scratch))
        add(&s, leat_buf_view(scratch));
    for (leat_slice rest = head->headers; leat_head_next(&rest, &name, &value);)
        add_header(&s, name, value);
    return s;
}

/* The length of the longest secret that the text begins with; 0: it begins with none. */
static size_t find(const secrets *s, leat_slice text)
{
    size_t longest = 0;
    for (size_t i = 0; i < s->count; i++) {
        leat_slice item = s->items[i];
        if (item.len > longest && item.len <= text.len && memcmp(item.at, text.at, item.len) == 0)
            longest = item.len;
    }
    return longest;
}

static bool begins_character(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

void leat_redact(leat_buf *out, leat_slice text, const leat_head *head, size_t max)
{
    leat_buf scratch = LEAT_BUF_INIT;
    secrets s = gather(head, &scratch);
    size_t before = out->len;
    for (size_t at = 0; at < text.len;) {
        if (out->len - before > max && begins_character(text.at[at]))
            break;
        size_t len = find(&s, (leat_slice){text.at + at, text.len - at});
        if (len > 0)
            leat_buf_text(out, LEAT_REDACTED);
        else
            leat_buf_char(out, text.at[at]);
        at += len > 0 ? len : 1;
    }
    leat_buf_close(&scratch);
}

const char *leat_redact_quote(char *out, size_t size, leat_slice text, leat_slice head)
{
    if (head.at == NULL)
        return leat_log_quote(out, size, text.at, text.len);
    leat_buf clean = LEAT_BUF_INIT;
    leat_head read = leat_head_read(head);
    leat_redact(&clean, text, &read, size);
    leat_log_quote(out, size, clean.at, clean.len);
    leat_buf_close(&clean);
    return out;
}
