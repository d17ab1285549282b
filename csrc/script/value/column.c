/* column.c - the forms of the built-in types, and the reading of arrays. Postgres writes an array
 * as optional bounds, "[0:1]=", and elements between delimiters in braces. An element that could be
 * taken for something else is quoted.
 */
#include "script/value/column.h"

#include <stdlib.h>
#include <string.h>

#include "wire/json.h"

enum {
    FIRST_MADE_BY_INITDB =
        10000, /* from here on: row types of the catalog, and types that users make */
    OID_CHAR = 18,
    OID_BOX = 603,
    MAX_DIMENSIONS = 6,
};

/* Array types and their elements, from Postgres' pg_type.dat: these numbers never change. */
struct array_type {
    uint16_t type;
    uint16_t element;
};

static const struct array_type array_types[] = {
    {143, 142},   {199, 114},   {271, 5069},  {272, 81},    {273, 83},    {629, 628},
    {651, 650},   {719, 718},   {775, 774},   {791, 790},   {1000, 16},   {1001, 17},
    {1002, 18},   {1003, 19},   {1005, 21},   {1006, 22},   {1007, 23},   {1008, 24},
    {1009, 25},   {1010, 27},   {1011, 28},   {1012, 29},   {1013, 30},   {1014, 1042},
    {1015, 1043}, {1016, 20},   {1017, 600},  {1018, 601},  {1019, 602},  {1020, 603},
    {1021, 700},  {1022, 701},  {1027, 604},  {1028, 26},   {1034, 1033}, {1040, 829},
    {1041, 869},  {1115, 1114}, {1182, 1082}, {1183, 1083}, {1185, 1184}, {1187, 1186},
    {1231, 1700}, {1263, 2275}, {1270, 1266}, {1561, 1560}, {1563, 1562}, {2201, 1790},
    {2207, 2202}, {2208, 2203}, {2209, 2204}, {2210, 2205}, {2211, 2206}, {2949, 2970},
    {2951, 2950}, {3221, 3220}, {3643, 3614}, {3644, 3642}, {3645, 3615}, {3735, 3734},
    {3770, 3769}, {3807, 3802}, {3905, 3904}, {3907, 3906}, {3909, 3908}, {3911, 3910},
    {3913, 3912}, {3927, 3926}, {4073, 4072}, {4090, 4089}, {4097, 4096}, {4192, 4191},
    {5039, 5038}, {6150, 4451}, {6151, 4532}, {6152, 4533}, {6153, 4534}, {6155, 4535},
    {6157, 4536},
};

/* Rare: int2vector, oidvector, and the row types of the catalog with fixed numbers. */
static const uint16_t rare_types[] = {22,  30,   71,   75,   81,   83,  210,
                                      270, 1248, 2842, 2843, 4066, 6101};

static int compare_types(const void *key, const void *entry)
{
    uint32_t type = *(const uint32_t *)key;
    uint32_t other = ((const struct array_type *)entry)->type;
    return (type > other) - (type < other);
}

/* Returns 0 if the type is no array. */
static uint32_t element_of(uint32_t type)
{
    const struct array_type *found =
        bsearch(&type, array_types, sizeof(array_types) / sizeof(array_types[0]),
                sizeof(array_types[0]), compare_types);
    return found != NULL ? found->element : 0;
}

static bool is_rare_type(uint32_t type)
{
    for (size_t i = 0; i < sizeof(rare_types) / sizeof(rare_types[0]); i++) {
        if (rare_types[i] == type)
            return true;
    }
    return false;
}

leat_column_form leat_column_form_of(uint32_t type)
{
    switch (type) {
    case 20: /* int8, int2, int4 */
    case 21:
    case 23:
        return LEAT_COLUMN_INTEGER;
    case 25: /* text, varchar, date, uuid: the most frequent of the types below */
    case 1043:
    case 1082:
    case 2950:
        return LEAT_COLUMN_TEXT;
    case 16:
        return LEAT_COLUMN_BOOL;
    case OID_CHAR:
        return LEAT_COLUMN_BYTE;
    case 26:
        return LEAT_COLUMN_OID;
    case 114: /* json, jsonb */
    case 3802:
        return LEAT_COLUMN_JSON;
    case 700: /* float4, float8 */
    case 701:
        return LEAT_COLUMN_FLOAT;
    case 1700:
        return LEAT_COLUMN_NUMERIC;
    case 1114:
        return LEAT_COLUMN_TIMESTAMP;
    case 1184:
        return LEAT_COLUMN_TIMESTAMPTZ;
    default:
        break;
    }
    if (type >= FIRST_MADE_BY_INITDB || is_rare_type(type))
        return LEAT_COLUMN_ASK;
    uint32_t element = element_of(type);
    if (element == 0)
        return LEAT_COLUMN_TEXT;
    return leat_column_form_of(element) == LEAT_COLUMN_ASK ? LEAT_COLUMN_ASK : LEAT_COLUMN_ARRAY;
}

/* --- scalars --- */

/* "2026-01-02 03:04:05.6+00", "0044-03-15 00:00:00 BC", "infinity". */
leat_slice leat_column_time(leat_column_form form, leat_slice text, char out[LEAT_COLUMN_TIME_MAX])
{
    const char *space = text.len > 0 ? memchr(text.at, ' ', text.len) : NULL;
    if (space == NULL || text.len > LEAT_COLUMN_TIME_MAX - 4)
        return text;
    size_t at = (size_t)(space - text.at);
    memcpy(out, text.at, text.len);
    out[at] = 'T';
    size_t len = text.len;
    if (form != LEAT_COLUMN_TIMESTAMPTZ)
        return (leat_slice){out, len};
    size_t end = len; /* the end of the zone: "+00", "+05:30", "+00:19:32" */
    if (out[end - 1] == 'C')
        end -= strlen(" BC");
    if (end < 3 || (out[end - 3] != '+' && out[end - 3] != '-'))
        return (leat_slice){out, len}; /* the zone has minutes already */
    memmove(out + end + 3, out + end, len - end);
    memcpy(out + end, ":00", 3);
    return (leat_slice){out, len + 3};
}

leat_slice leat_column_byte(leat_slice text)
{
    bool is_character = text.len != 1 || (unsigned char)text.at[0] < 0x80;
    return is_character ? text : leat_slice_of("\xef\xbf\xbd");
}

/* True if the number has digits, which NaN and the infinities do not have. */
static bool is_finite(leat_slice number)
{
    size_t at = number.len > 0 && number.at[0] == '-';
    return number.len > at && number.at[at] >= '0' && number.at[at] <= '9';
}

/* --- arrays --- */

struct reader {
    const char *at;
    const char *end;
    leat_column_form form; /* of the elements */
    char delimiter;
    leat_buf element; /* without its quotes */
    leat_buf *out;
};

static int write_element(struct reader *r, bool quoted)
{
    leat_slice text = r->element.len == 0 ? leat_slice_of("") : leat_buf_view(&r->element);
    char time[LEAT_COLUMN_TIME_MAX];
    if (!quoted && leat_slice_is(text, "NULL")) {
        leat_buf_text(r->out, "null");
        return 0;
    }
    switch (r->form) {
    case LEAT_COLUMN_BOOL:
        leat_buf_text(r->out, leat_slice_is(text, "t") ? "true" : "false");
        return 0;
    case LEAT_COLUMN_INTEGER:
    case LEAT_COLUMN_FLOAT:
    case LEAT_COLUMN_NUMERIC:
        if (!is_finite(text))
            return leat_json_write_string(r->out, text);
        leat_buf_slice(r->out, text);
        return 0;
    case LEAT_COLUMN_JSON:
        leat_buf_slice(r->out, text);
        return 0;
    case LEAT_COLUMN_TIMESTAMP:
    case LEAT_COLUMN_TIMESTAMPTZ:
        return leat_json_write_string(r->out, leat_column_time(r->form, text, time));
    case LEAT_COLUMN_BYTE:
        return leat_json_write_string(r->out, leat_column_byte(text));
    case LEAT_COLUMN_TEXT:
    case LEAT_COLUMN_OID:
    case LEAT_COLUMN_ARRAY:
    case LEAT_COLUMN_ASK:
        break;
    }
    return leat_json_write_string(r->out, text);
}

static int read_element(struct reader *r)
{
    bool quoted = *r->at == '"';
    r->element.len = 0;
    if (quoted)
        r->at++;
    for (; r->at < r->end; r->at++) {
        char c = *r->at;
        if (quoted ? c == '"' : c == r->delimiter || c == '}')
            break;
        if (c == '\\' && ++r->at == r->end)
            return LEAT_EBADMSG;
        leat_buf_char(&r->element, *r->at);
    }
    if (r->at == r->end)
        return LEAT_EBADMSG;
    if (quoted)
        r->at++;
    return write_element(r, quoted);
}

static int read_list(struct reader *r, int depth)
{
    if (depth > MAX_DIMENSIONS || r->at == r->end || *r->at++ != '{')
        return LEAT_EBADMSG;
    leat_buf_char(r->out, '[');
    bool more = r->at < r->end && *r->at != '}';
    while (more) {
        if (r->at == r->end)
            return LEAT_EBADMSG;
        int err = *r->at == '{' ? read_list(r, depth + 1) : read_element(r);
        if (err < 0)
            return err;
        more = r->at < r->end && *r->at == r->delimiter;
        if (more) {
            leat_buf_char(r->out, ',');
            r->at++;
        }
    }
    if (r->at == r->end || *r->at++ != '}')
        return LEAT_EBADMSG;
    leat_buf_char(r->out, ']');
    return 0;
}

int leat_column_write_array(leat_buf *out, uint32_t type, leat_slice text)
{
    uint32_t element = element_of(type);
    struct reader r = {
        .at = text.at,
        .end = text.at + text.len,
        .form = leat_column_form_of(element),
        .delimiter = element == OID_BOX ? ';' : ',',
        .out = out,
    };
    if (text.len > 0 && *r.at == '[') {
        const char *bounds_end = memchr(r.at, '=', text.len);
        if (bounds_end == NULL)
            return LEAT_EBADMSG;
        r.at = bounds_end + 1;
    }
    size_t began_at = out->len;
    int err = read_list(&r, 1);
    if (err == 0 && r.at != r.end)
        err = LEAT_EBADMSG;
    if (err < 0)
        out->len = began_at;
    leat_buf_close(&r.element);
    return err;
}
