/* log_box: lines wait for the program, and no more than LOG_BOX_LINES of them. */
#include "embed/log_box.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct world {
    inbox box;
    log_box lines;
    leat_log *log;
    int told;
    int level;
    char before[256]; /* the line before the last */
    char last[256];
};

static void on_log(void *arg, int level, const char *line, size_t len)
{
    struct world *w = arg;
    assert_int_equal(strlen(line), len);
    w->told++;
    w->level = level;
    memcpy(w->before, w->last, sizeof(w->last));
    snprintf(w->last, sizeof(w->last), "%s", line);
}

static struct world *make(leat_log_fn fn)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_int_equal(inbox_open(&w->box), 0);
    w->lines.inbox = &w->box;
    w->lines.on_log = fn;
    w->lines.arg = w;
    leat_log_levels levels = leat_log_levels_all(LEAT_LOG_LEVEL_INFO);
    w->log = log_box_open(&w->lines, &levels);
    leat_log_bind(w->log);
    return w;
}

static void end(struct world *w)
{
    leat_log_bind(NULL);
    inbox_close(&w->box);
    leat_log_free(w->log);
    free(w);
}

static void tells_lines_when_the_program_dispatches(void **state)
{
    (void)state;
    struct world *w = make(on_log);

    LEAT_LOG_WARN("pg", "connect failed err=%d", -5);
    LEAT_LOG_DEBUG("pg", "too little to be %s", "told");
    assert_int_equal(w->told, 0);

    assert_int_equal(inbox_run(&w->box, 0), 1);
    assert_int_equal(w->level, 2);
    assert_non_null(strstr(w->last, " WARN pg connect failed err=-5"));
    end(w);
}

static void keeps_nothing_for_a_program_that_does_not_ask(void **state)
{
    (void)state;
    struct world *w = make(NULL);

    LEAT_LOG_ERROR("pg", "connect %s", "failed");

    assert_int_equal(inbox_run(&w->box, 0), 0);
    end(w);
}

static void says_how_many_lines_are_left_out_beyond_its_limit(void **state)
{
    (void)state;
    struct world *w = make(on_log);

    for (int i = 0; i < LOG_BOX_LINES + 7; i++)
        LEAT_LOG_INFO("pg", "line=%d", i);
    assert_int_equal(inbox_run(&w->box, 0), LOG_BOX_LINES);
    assert_non_null(strstr(w->last, "line=4095"));

    LEAT_LOG_INFO("pg", "%s", "later");
    assert_int_equal(inbox_run(&w->box, 0), 2);
    assert_int_equal(w->told, LOG_BOX_LINES + 2);
    assert_string_equal(w->before, "lines left out, the program was slow lines=7");
    assert_non_null(strstr(w->last, "later"));
    end(w);
}

static void drops_lines_that_nobody_takes(void **state)
{
    (void)state;
    struct world *w = make(on_log);

    LEAT_LOG_INFO("pg", "%s", "waits");

    end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_lines_when_the_program_dispatches),
        cmocka_unit_test(keeps_nothing_for_a_program_that_does_not_ask),
        cmocka_unit_test(says_how_many_lines_are_left_out_beyond_its_limit),
        cmocka_unit_test(drops_lines_that_nobody_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
