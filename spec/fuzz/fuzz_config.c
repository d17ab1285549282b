/* A configuration is read or refused with a message, whatever the file and the environment hold;
 * and every value that is read lies within its bounds. The file is code that its owner trusts, so
 * inputs that could compute for long are left out. */
#include "fuzz.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/slice.h"
#include "engine/config_load.h"

enum { MAX_VALUE = 200 };

static char chosen[LEAT_CONFIG_VARIABLE_MAX];
static char value[MAX_VALUE];

static char *one_variable(const char *name)
{
    return strcmp(name, chosen) == 0 ? value : NULL;
}

static bool computes(leat_slice text)
{
    static const char *const words[] = {"for", "while", "repeat", "goto",   "function",
                                        "..",  "rep",   "find",   "match",  "gsub",
                                        "%",   "sort",  "move",   "unpack", "\x1b"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (memmem(text.at, text.len, words[i], strlen(words[i])) != NULL)
            return true;
    return false;
}

static void check_bounds(leat_config *config)
{
    size_t n = 0;
    const leat_config_key *keys = leat_config_keys(&n);
    for (size_t i = 0; i < n; i++) {
        const char *at = (const char *)config + keys[i].offset;
        if (leat_config_key_is_text(&keys[i]))
            CHECK(leat_config_text(config, &keys[i]) != NULL);
        if (!leat_config_key_is_number(&keys[i]))
            continue;
        uint64_t number = 0;
        memcpy(&number, at, sizeof(number)); /* size_t and uint64_t alike */
        CHECK(number >= keys[i].min && number <= keys[i].max);
    }
}

static void load(const char *file)
{
    leat_config config;
    leat_buf error = LEAT_BUF_INIT;
    leat_config_sources sources = {.home = "/nowhere", .file = file, .getenv = one_variable};
    if (leat_config_load(&config, &sources, &error) == 0) {
        check_bounds(&config);
        leat_config_free(&config);
    } else {
        CHECK(error.len > 0);
    }
    leat_buf_close(&error);
}

/* The first byte chooses the key whose variable is set; the text up to a zero byte is its value,
 * and the rest is the file. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t n = 0;
    const leat_config_key *keys = leat_config_keys(&n);
    if (size < 2)
        return 0;
    leat_config_key_variable(&keys[data[0] % n], chosen);
    leat_slice rest = {(const char *)data + 1, size - 1};
    const char *zero = memchr(rest.at, '\0', rest.len);
    size_t len = zero != NULL ? (size_t)(zero - rest.at) : rest.len;
    snprintf(value, sizeof(value), "%.*s", (int)len, rest.at);
    leat_slice file = {rest.at + len, rest.len - len};
    if (file.len > 0)
        file = (leat_slice){file.at + 1, file.len - 1};
    if (computes(file))
        return 0;
    char path[64];
    int fd = memfd_create("config", MFD_CLOEXEC);
    CHECK(fd >= 0 && write(fd, file.at, file.len) == (ssize_t)file.len);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    load(path);
    close(fd);
    return 0;
}
