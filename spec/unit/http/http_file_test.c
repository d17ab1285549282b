/* http_file: which names are files, and that none of them is outside the folder. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "http/http_file.h"

struct resolution {
    const char *path;
    const char *relative; /* NULL: refused */
};

static void test_resolve(void **state)
{
    (void)state;
    static const struct resolution cases[] = {
        {"/", ""},
        {"/index.html", "index.html"},
        {"/a/b.js", "a/b.js"},
        {"/a/", "a/"},
        {"/a%20b.txt", "a b.txt"},
        {"/a+b.txt", "a+b.txt"},
        {"/%C3%A4.svg", "\xC3\xA4.svg"},
        {"/.well-known/security.txt", ".well-known/security.txt"},
        {"/a%2Fb", "a/b"},
        {"/..", NULL},
        {"/../etc/passwd", NULL},
        {"/a/../b", NULL},
        {"/a/..", NULL},
        {"/%2e%2e/etc/passwd", NULL},
        {"/%2e%2e%2fetc/passwd", NULL},
        {"/a/%2E%2E/%2E%2E/x", NULL},
        {"/./a", NULL},
        {"/.git/config", NULL},
        {"/a/.env", NULL},
        {"/.well-knownx/a", NULL},
        {"//etc/passwd", NULL},
        {"/a//b", NULL},
        {"/%2fetc/passwd", NULL},
        {"/a%00.html", NULL},
        {"/%", NULL},
        {"/%zz", NULL},
        {"", NULL},
        {"etc", NULL},
        {"*", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        leat_buf out = LEAT_BUF_INIT;
        bool ok = leat_http_file_resolve(leat_slice_of(cases[i].path), &out);
        if (ok != (cases[i].relative != NULL))
            fail_msg("%s", cases[i].path);
        if (ok)
            assert_string_equal(out.at, cases[i].relative);
        leat_buf_close(&out);
    }
}

static void test_resolve_refuses_zero_byte(void **state)
{
    (void)state;
    leat_buf out = LEAT_BUF_INIT;
    assert_false(leat_http_file_resolve((leat_slice){"/a\0b", 4}, &out));
    leat_buf_close(&out);
}

static void test_types(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"a.html", "text/html; charset=utf-8"},
        {"a.js", "text/javascript; charset=utf-8"},
        {"a.css", "text/css; charset=utf-8"},
        {"a.JSON", "application/json"},
        {"a.svg", "image/svg+xml"},
        {"a.wasm", "application/wasm"},
        {"a.woff2", "font/woff2"},
        {"a.webmanifest", "application/manifest+json"},
        {"a.png", "image/png"},
        {"a.ico", "image/x-icon"},
        {"a.js.map", "application/json"},
        {"a.unknown", "application/octet-stream"},
        {"noending", "application/octet-stream"},
        {"", "text/html; charset=utf-8"},
        {"docs/", "text/html; charset=utf-8"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(leat_http_file_type(cases[i][0]), cases[i][1]);
}

/* root/www is the folder; root/secret lies outside. */
struct tree {
    char root[64];
    char www[96];
};

static void put(const char *folder, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void put_link(const char *folder, const char *name, const char *target)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(symlink(target, path), 0);
}

static int make_tree(void **state)
{
    struct tree *t = calloc(1, sizeof(*t));
    strcpy(t->root, "/tmp/leat-static-XXXXXX");
    if (mkdtemp(t->root) == NULL)
        return -1;
    snprintf(t->www, sizeof(t->www), "%s/www", t->root);
    char sub[128];
    snprintf(sub, sizeof(sub), "%s/sub", t->www);
    if (mkdir(t->www, 0700) < 0 || mkdir(sub, 0700) < 0)
        return -1;
    put(t->root, "secret", "secret");
    put(t->www, "index.html", "index");
    put(t->www, "a.txt", "a");
    put(sub, "b.txt", "bb");
    put_link(t->www, "up", "../secret");
    put_link(t->www, "absolute", "/etc/hostname");
    put_link(t->www, "outside", "..");
    put_link(t->www, "inside", "sub/b.txt");
    put_link(t->www, "loop", "loop");
    char fifo[128];
    snprintf(fifo, sizeof(fifo), "%s/fifo", t->www);
    if (mkfifo(fifo, 0600) < 0)
        return -1;
    *state = t;
    return 0;
}

static int remove_tree(void **state)
{
    struct tree *t = *state;
    static const char *const names[] = {
        "www/fifo",      "www/loop", "www/inside", "www/outside",    "www/absolute", "www/up",
        "www/sub/b.txt", "www/sub",  "www/a.txt",  "www/index.html", "www",          "secret"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[256];
        snprintf(path, sizeof(path), "%s/%s", t->root, names[i]);
        remove(path);
    }
    rmdir(t->root);
    free(t);
    return 0;
}

static int open_size(const struct tree *t, const char *relative)
{
    struct stat st;
    int fd = leat_http_file_open(t->www, relative, &st);
    if (fd < 0)
        return fd;
    close(fd);
    return (int)st.st_size;
}

static void test_open_finds_what_is_there(void **state)
{
    const struct tree *t = *state;
    assert_int_equal(open_size(t, "a.txt"), 1);
    assert_int_equal(open_size(t, "sub/b.txt"), 2);
    assert_int_equal(open_size(t, ""), 5);
    assert_int_equal(open_size(t, "inside"), 2);
}

static void test_open_refuses_what_is_not_a_file(void **state)
{
    const struct tree *t = *state;
    assert_int_equal(open_size(t, "missing"), -ENOENT);
    assert_int_equal(open_size(t, "sub"), -EISDIR);
    assert_int_equal(open_size(t, "sub/"), -ENOENT);
    assert_int_equal(open_size(t, "a.txt/"), -ENOTDIR);
    assert_int_equal(open_size(t, "fifo"), -ENOENT);
}

static void test_open_never_leaves_the_folder(void **state)
{
    const struct tree *t = *state;
    static const char *const names[] = {"up",           "absolute",         "outside/secret",
                                        "../secret",    "sub/../../secret", "loop",
                                        "/etc/hostname"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_true(open_size(t, names[i]) < 0);
}

static void test_open_without_folder(void **state)
{
    (void)state;
    struct stat st;
    assert_int_equal(leat_http_file_open("/nowhere", "a", &st), -ENOENT);
}

static leat_http_request request_with(leat_http_header *header, const char *name, const char *value)
{
    *header = (leat_http_header){leat_slice_of(name), leat_slice_of(value)};
    return (leat_http_request){.headers = header, .n_headers = 1};
}

static void test_condition(void **state)
{
    (void)state;
    struct stat st = {.st_size = 5, .st_mtim = {784111777, 0}};
    leat_buf etag = LEAT_BUF_INIT;
    leat_buf modified = LEAT_BUF_INIT;
    leat_http_file_validators(&st, false, &etag, &modified);
    assert_string_equal(etag.at, "\"2ebc98a1-0-5\"");
    assert_string_equal(modified.at, "Sun, 06 Nov 1994 08:49:37 GMT");
    static const struct {
        const char *name;
        const char *value;
        int status;
    } cases[] = {
        {"if-none-match", "\"2ebc98a1-0-5\"", 304},
        {"if-none-match", "W/\"2ebc98a1-0-5\"", 304},
        {"if-none-match", "\"x\", \"2ebc98a1-0-5\" ", 304},
        {"if-none-match", "*", 304},
        {"if-none-match", "\"x\"", 0},
        {"if-none-match", "", 0},
        {"if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT", 304},
        {"if-modified-since", "Sunday, 06-Nov-94 08:49:37 GMT", 304},
        {"if-modified-since", "Sun Nov  6 08:49:37 1994", 304},
        {"if-modified-since", "Sun, 06 Nov 1994 08:49:38 GMT", 304},
        {"if-modified-since", "Sun, 06 Nov 1994 08:49:36 GMT", 0},
        {"if-modified-since", "Sunday, 06-Nov-94 08:49:36 GMT", 0},
        {"if-modified-since", "Sun Nov  6 08:49:36 1994", 0},
        {"if-modified-since", "Sun, 06 Nov 1994 08:49:37 CET", 0},
        {"if-modified-since", "yesterday", 0},
        {"if-match", "\"2ebc98a1-0-5\"", 0},
        {"if-match", "\"x\", \"2ebc98a1-0-5\"", 0},
        {"if-match", "*", 0},
        {"if-match", "W/\"2ebc98a1-0-5\"", 412},
        {"if-match", "\"x\"", 412},
        {"if-match", "", 412},
        {"if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT", 0},
        {"if-unmodified-since", "Sun, 06 Nov 1994 08:49:36 GMT", 412},
        {"if-unmodified-since", "yesterday", 0},
        {"accept", "*/*", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        leat_http_header header;
        leat_http_request r = request_with(&header, cases[i].name, cases[i].value);
        if (leat_http_file_condition(&r, etag.at, st.st_mtim.tv_sec) != cases[i].status)
            fail_msg("%s: %s", cases[i].name, cases[i].value);
    }
    leat_buf_close(&etag);
    leat_buf_close(&modified);
}

int main(void)
{
#define TREE_TEST(name) cmocka_unit_test_setup_teardown(name, make_tree, remove_tree)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resolve),
        cmocka_unit_test(test_resolve_refuses_zero_byte),
        cmocka_unit_test(test_types),
        TREE_TEST(test_open_finds_what_is_there),
        TREE_TEST(test_open_refuses_what_is_not_a_file),
        TREE_TEST(test_open_never_leaves_the_folder),
        cmocka_unit_test(test_open_without_folder),
        cmocka_unit_test(test_condition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
