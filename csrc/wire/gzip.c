#include "wire/gzip.h"

#include <limits.h>
#include <stdlib.h>
#include <strings.h>

#define ZLIB_CONST
#include <zlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "wire/http_head.h"

enum {
    WINDOW_BITS = 15 + 16, /* zlib writes gzip's header and trailer */
    MEM_LEVEL = 8,
    STEP = 16384, /* room for what a part becomes */
};

struct leat_gzip {
    z_stream stream;
    size_t left; /* bytes that may still be written */
};

leat_gzip *leat_gzip_new(int level, size_t max)
{
    leat_gzip *z = leat_calloc(1, sizeof(*z));
    z->left = max;
    int err =
        deflateInit2(&z->stream, level, Z_DEFLATED, WINDOW_BITS, MEM_LEVEL, Z_DEFAULT_STRATEGY);
    LEAT_ASSERT(err == Z_OK);
    return z;
}

void leat_gzip_free(leat_gzip *z)
{
    if (z == NULL)
        return;
    deflateEnd(&z->stream);
    free(z);
}

bool leat_gzip_feed(leat_gzip *z, leat_slice part, bool last, leat_buf *out)
{
    z_stream *s = &z->stream;
    LEAT_ASSERT(part.len <= UINT_MAX);
    s->next_in = (const Bytef *)part.at;
    s->avail_in = (uInt)part.len;
    int status = Z_OK;
    do {
        s->next_out = (Bytef *)leat_buf_reserve(out, STEP);
        s->avail_out = STEP;
        status = deflate(s, last ? Z_FINISH : Z_NO_FLUSH);
        size_t written = STEP - s->avail_out;
        if (written > z->left)
            return false;
        out->len += written;
        z->left -= written;
        /* Z_BUF_ERROR: nothing is left to be done. */
    } while (status == Z_OK && (last || s->avail_in > 0 || s->avail_out == 0));
    return status != Z_STREAM_ERROR;
}

/* --- Accept-Encoding --- */

enum {
    UNSET = -1,
    FULL_WEIGHT = 1000, /* q=1 */
};

/* The weights that a request gives, in thousandths. */
typedef struct weights {
    int gzip;
    int identity;
    int star;
} weights;

/* qvalue of RFC 9110 §12.4.2: "0", "1", "0.5", "1.000". UNSET if it is none. */
static int read_weight(leat_slice text)
{
    if (text.len == 0 || text.len > 5 || (text.at[0] != '0' && text.at[0] != '1') ||
        (text.len > 1 && text.at[1] != '.'))
        return UNSET;
    int weight = text.at[0] == '1' ? FULL_WEIGHT : 0;
    int place = FULL_WEIGHT;
    for (size_t i = 2; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return UNSET;
        place /= 10;
        weight += (text.at[i] - '0') * place;
    }
    return weight <= FULL_WEIGHT ? weight : UNSET;
}

/* Splits "gzip;q=0.5". A coding with another parameter, or a weight that is none, is UNSET: it
 * counts as if it did not stand there. */
static int split_item(leat_slice item, leat_slice *coding)
{
    const char *semicolon = memchr(item.at, ';', item.len);
    *coding = item;
    if (semicolon == NULL)
        return FULL_WEIGHT;
    coding->len = (size_t)(semicolon - item.at);
    *coding = leat_http_head_trim(*coding);
    leat_slice rest = leat_http_head_trim(
        (leat_slice){semicolon + 1, (size_t)(item.at + item.len - semicolon - 1)});
    if (rest.len < 3 || (rest.at[0] != 'q' && rest.at[0] != 'Q') || rest.at[1] != '=')
        return UNSET;
    return read_weight((leat_slice){rest.at + 2, rest.len - 2});
}

static void take_item(weights *w, leat_slice item)
{
    leat_slice coding;
    int weight = split_item(item, &coding);
    if (weight == UNSET)
        return;
    if (leat_http_head_is_word(coding, "gzip") || leat_http_head_is_word(coding, "x-gzip"))
        w->gzip = weight;
    else if (leat_http_head_is_word(coding, "identity"))
        w->identity = weight;
    else if (leat_slice_is(coding, "*"))
        w->star = weight;
}

/* Plain bytes are accepted unless they are named with 0; the star names them if nothing else does.
 */
static leat_coding choose(const weights *w)
{
    int gzip = w->gzip != UNSET ? w->gzip : w->star;
    bool takes_gzip = gzip > 0;
    bool takes_plain = w->identity != UNSET ? w->identity > 0 : w->star != 0;
    if (!takes_plain)
        return takes_gzip ? LEAT_CODING_GZIP_ONLY : LEAT_CODING_NEITHER;
    return takes_gzip && gzip >= w->identity ? LEAT_CODING_GZIP : LEAT_CODING_PLAIN;
}

leat_coding leat_gzip_wanted(const leat_http_request *r)
{
    weights w = {UNSET, UNSET, UNSET};
    for (size_t i = 0; i < r->n_headers; i++) {
        leat_slice rest = r->headers[i].value;
        leat_slice item;
        if (!leat_slice_is(r->headers[i].name, "accept-encoding"))
            continue;
        while (leat_http_list_next(&rest, &item))
            take_item(&w, item);
    }
    return choose(&w);
}

/* --- types --- */

static bool ends_with(leat_slice text, const char *lower)
{
    size_t len = strlen(lower);
    return text.len > len && strncasecmp(text.at + text.len - len, lower, len) == 0;
}

bool leat_gzip_helps(leat_slice content_type)
{
    static const char *const types[] = {
        "application/json", "application/javascript",   "application/xml",
        "application/wasm", "application/x-ndjson",     "image/svg+xml",
        "font/ttf",         "application/manifest+json"};
    static const char text[] = "text/";
    const char *semicolon =
        content_type.len == 0 ? NULL : memchr(content_type.at, ';', content_type.len);
    leat_slice type = content_type;
    if (semicolon != NULL)
        type.len = (size_t)(semicolon - type.at);
    type = leat_http_head_trim(type);
    if (type.len >= sizeof(text) - 1 && strncasecmp(type.at, text, sizeof(text) - 1) == 0)
        return true;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (leat_http_head_is_word(type, types[i]))
            return true;
    return ends_with(type, "+json") || ends_with(type, "+xml");
}
