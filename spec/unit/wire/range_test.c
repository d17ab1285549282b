#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/range.h"

struct range_case {
    const char *value;
    uint64_t size;
    leat_range_kind kind;
    uint64_t first;
    uint64_t last;
};

static void reads_ranges(void **state)
{
    (void)state;
    static const struct range_case cases[] = {
        {"bytes=0-0", 1, LEAT_RANGE_PART, 0, 0},
        {"bytes=0-499", 1000, LEAT_RANGE_PART, 0, 499},
        {"bytes= 500-999 ", 1000, LEAT_RANGE_PART, 500, 999},
        {"bytes=500-", 1000, LEAT_RANGE_PART, 500, 999},
        {"bytes=500-5000", 1000, LEAT_RANGE_PART, 500, 999},
        {"bytes=-1", 1000, LEAT_RANGE_PART, 999, 999},
        {"bytes=-1001", 1000, LEAT_RANGE_PART, 0, 999},
        {"bytes=0-18446744073709551616", 10, LEAT_RANGE_PART, 0, 9},
        {"bytes=18446744073709551616-", 10, LEAT_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=1000-", 1000, LEAT_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=0-", 0, LEAT_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-0", 1000, LEAT_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-5", 0, LEAT_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=2-1", 1000, LEAT_RANGE_NONE, 0, 0},
        {"bytes=0-1,3-4", 1000, LEAT_RANGE_NONE, 0, 0},
        {"bytes=--1", 1000, LEAT_RANGE_NONE, 0, 0},
        {"bytes=+1-2", 1000, LEAT_RANGE_NONE, 0, 0},
        {"bytes=1", 1000, LEAT_RANGE_NONE, 0, 0},
        {"bytes=", 1000, LEAT_RANGE_NONE, 0, 0},
        {"bytes", 1000, LEAT_RANGE_NONE, 0, 0},
        {"", 1000, LEAT_RANGE_NONE, 0, 0},
        {NULL, 1000, LEAT_RANGE_NONE, 0, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        leat_range range = {0, 0};
        const struct range_case *c = &cases[i];
        if (leat_range_read(leat_slice_of(c->value), c->size, &range) != c->kind ||
            range.first != c->first || range.last != c->last)
            fail_msg("%s of %d", c->value, (int)c->size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
