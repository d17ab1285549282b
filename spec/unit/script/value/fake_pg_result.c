#include "fake_pg_result.h"

int leat_pg_result_rows(const leat_pg_result *r)
{
    return r->rows;
}

int leat_pg_result_columns(const leat_pg_result *r)
{
    return r->columns;
}

const char *leat_pg_result_column_name(const leat_pg_result *r, int column)
{
    return r->names[column];
}

uint32_t leat_pg_result_column_type(const leat_pg_result *r, int column)
{
    return r->types[column];
}

bool leat_pg_result_is_null(const leat_pg_result *r, int row, int column)
{
    return r->values[row * r->columns + column] == NULL;
}

leat_slice leat_pg_result_value(const leat_pg_result *r, int row, int column)
{
    return leat_slice_of(r->values[row * r->columns + column]);
}
