/* column.h - the JSON form of a value of Postgres, which depends on the type of its column. The
 * forms are those of to_jsonb.
 *
 * Ownership  appends to the buffer of the caller; everything else is borrowed for the call.
 * Threads    any.
 * Units      types are OIDs.
 * Errors     LEAT_EBADMSG: the text does not have that form. It can still be shown as a text.
 *
 * Types that are not built in (a composite, an enum, a type with a cast to json) are known only to
 * Postgres. Their form is LEAT_COLUMN_ASK, and db_ask.c asks Postgres for their JSON.
 */
#ifndef LEAT_SCRIPT_VALUE_COLUMN_H
#define LEAT_SCRIPT_VALUE_COLUMN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

typedef enum leat_column_form {
    LEAT_COLUMN_TEXT, /* a string: the text as it is */
    LEAT_COLUMN_BOOL,
    LEAT_COLUMN_INTEGER,
    LEAT_COLUMN_OID,     /* a string of digits */
    LEAT_COLUMN_FLOAT,   /* a number; a string for NaN and the infinities */
    LEAT_COLUMN_NUMERIC, /* likewise */
    LEAT_COLUMN_JSON,
    LEAT_COLUMN_TIMESTAMP,   /* a string, with T between date and time */
    LEAT_COLUMN_TIMESTAMPTZ, /* likewise, with the minutes of the zone */
    LEAT_COLUMN_BYTE,        /* "char": a string, perhaps of a byte that is no character */
    LEAT_COLUMN_ARRAY,       /* a list */
    LEAT_COLUMN_ASK,
} leat_column_form;

leat_column_form leat_column_form_of(uint32_t type);

/* Returns the timestamp in ISO 8601, which is in out if it differs from text. */
enum { LEAT_COLUMN_TIME_MAX = 80 };
leat_slice leat_column_time(leat_column_form form, leat_slice text, char out[LEAT_COLUMN_TIME_MAX]);

/* For "char": returns the text, or U+FFFD if its byte is no character. */
leat_slice leat_column_byte(leat_slice text);

/* Appends the text of an array as a JSON list. type is that of the array. */
LEAT_MUST_CHECK int leat_column_write_array(leat_buf *out, uint32_t type, leat_slice text);

#endif
