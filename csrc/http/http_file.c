/* http_file.c - from a request's path to an open descriptor, without touching any connection. */
#include "http/http_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* --- names --- */

static bool segment_ok(const char *at, size_t len)
{
    static const char well_known[] = ".well-known";
    if (len == 0)
        return false;
    return at[0] != '.' || (len == sizeof(well_known) - 1 && memcmp(at, well_known, len) == 0);
}

bool leat_http_file_resolve(leat_slice path, leat_buf *out)
{
    size_t begin = out->len;
    if (path.len == 0 || path.at[0] != '/' ||
        !leat_http_unescape(out, (leat_slice){path.at + 1, path.len - 1}))
        return false;
    leat_buf_char(out, '\0');
    const char *at = out->at + begin;
    if (strlen(at) != out->len - begin - 1)
        return false;
    while (*at != '\0') {
        size_t len = strcspn(at, "/");
        if (!segment_ok(at, len))
            return false;
        at += len + (at[len] == '/');
    }
    return true;
}

struct type {
    const char *ending;
    const char *type;
};

static const struct type types[] = {
    {"html", "text/html; charset=utf-8"},
    {"htm", "text/html; charset=utf-8"},
    {"js", "text/javascript; charset=utf-8"},
    {"mjs", "text/javascript; charset=utf-8"},
    {"css", "text/css; charset=utf-8"},
    {"json", "application/json"},
    {"map", "application/json"},
    {"webmanifest", "application/manifest+json"},
    {"svg", "image/svg+xml"},
    {"png", "image/png"},
    {"jpg", "image/jpeg"},
    {"jpeg", "image/jpeg"},
    {"gif", "image/gif"},
    {"webp", "image/webp"},
    {"avif", "image/avif"},
    {"ico", "image/x-icon"},
    {"woff2", "font/woff2"},
    {"woff", "font/woff"},
    {"ttf", "font/ttf"},
    {"wasm", "application/wasm"},
    {"txt", "text/plain; charset=utf-8"},
    {"md", "text/markdown; charset=utf-8"},
    {"xml", "application/xml"},
    {"csv", "text/csv; charset=utf-8"},
    {"pdf", "application/pdf"},
    {"mp3", "audio/mpeg"},
    {"mp4", "video/mp4"},
    {"webm", "video/webm"},
};

const char *leat_http_file_type(const char *name)
{
    const char *dot = strrchr(name, '.');
    const char *slash = strrchr(name, '/');
    if (name[0] == '\0' || (slash != NULL && slash[1] == '\0'))
        return types[0].type; /* a folder stands for its index.html */
    for (size_t i = 0; dot != NULL && i < sizeof(types) / sizeof(types[0]); i++)
        if (strcasecmp(dot + 1, types[i].ending) == 0)
            return types[i].type;
    return "application/octet-stream";
}

/* --- opening --- */

/* For kernels, or sandboxes, without openat2: no symbolic link is followed at all. relative is cut
 * up in place. */
static int open_by_steps(int folder, char *relative)
{
    int at = dup(folder);
    while (at >= 0) {
        size_t len = strcspn(relative, "/");
        bool last = relative[len] == '\0';
        relative[len] = '\0';
        int flags = O_NOFOLLOW | O_CLOEXEC | (last ? O_RDONLY | O_NONBLOCK : O_PATH | O_DIRECTORY);
        int next = openat(at, relative[0] == '\0' ? "." : relative, flags);
        int err = errno;
        close(at);
        errno = err;
        at = next;
        if (last)
            break;
        relative += len + 1;
    }
    return at < 0 ? -errno : at;
}

static int open_beneath(int folder, const char *relative)
{
    /* O_NONBLOCK: a FIFO would otherwise hold up the thread. */
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    long fd = syscall(SYS_openat2, folder, relative[0] == '\0' ? "." : relative, &how, sizeof(how));
    if (fd >= 0)
        return (int)fd;
    if (errno != ENOSYS && errno != EPERM)
        return -errno;
    char steps[PATH_MAX];
    if ((size_t)snprintf(steps, sizeof(steps), "%s", relative) >= sizeof(steps))
        return -ENAMETOOLONG;
    return open_by_steps(folder, steps);
}

bool leat_http_file_is_folder(const char *relative)
{
    size_t len = strlen(relative);
    return len == 0 || relative[len - 1] == '/';
}

static int open_named(int folder, const char *relative, struct stat *st)
{
    char name[PATH_MAX];
    bool index = leat_http_file_is_folder(relative);
    if ((size_t)snprintf(name, sizeof(name), "%s%s", relative, index ? "index.html" : "") >=
        sizeof(name))
        return -ENAMETOOLONG;
    int fd = open_beneath(folder, name);
    if (fd < 0)
        return fd;
    int err = fstat(fd, st) < 0 ? -errno : 0;
    if (err == 0 && S_ISDIR(st->st_mode))
        err = index ? -ENOENT : -EISDIR;
    else if (err == 0 && !S_ISREG(st->st_mode))
        err = -ENOENT;
    if (err < 0)
        close(fd);
    return err < 0 ? err : fd;
}

int leat_http_file_open(const char *folder, const char *relative, struct stat *st)
{
    /* Anew each time: a deployment may have put another folder in its place. */
    int at = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (at < 0)
        return -errno;
    int fd = open_named(at, relative, st);
    close(at);
    return fd;
}

/* --- validators --- */

void leat_http_file_validators(const struct stat *st, bool gzip, leat_buf *etag, leat_buf *modified)
{
    leat_buf_printf(etag, "\"%" PRIx64 "-%lx-%" PRIx64 "%s\"", (uint64_t)st->st_mtim.tv_sec,
                    (unsigned long)st->st_mtim.tv_nsec, (uint64_t)st->st_size, gzip ? "-gz" : "");
    leat_buf_char(etag, '\0');
    if (modified == NULL)
        return;
    leat_http_write_date(modified, st->st_mtim.tv_sec);
    leat_buf_char(modified, '\0');
}

/* Whether the list has the tag. If-None-Match compares weakly: W/ does not count. */
static bool lists_tag(leat_slice list, const char *etag, bool weakly)
{
    leat_slice item;
    while (leat_http_list_next(&list, &item)) {
        if (weakly && item.len > 2 && memcmp(item.at, "W/", 2) == 0) {
            item.at += 2;
            item.len -= 2;
        }
        if (leat_slice_is(item, "*") || leat_slice_is(item, etag))
            return true;
    }
    return false;
}

/* The three forms of a date (RFC 9110 §5.6.7). False for anything else. */
static bool read_date(leat_slice date, int64_t *unix_s)
{
    static const char *const forms[] = {
        "%a, %d %b %Y %H:%M:%S GMT",
        "%A, %d-%b-%y %H:%M:%S GMT",
        "%a %b %e %H:%M:%S %Y",
    };
    char text[64];
    if (date.len == 0 || date.len >= sizeof(text))
        return false;
    memcpy(text, date.at, date.len);
    text[date.len] = '\0';
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct tm tm = {0};
        const char *end = strptime(text, forms[i], &tm);
        if (end == NULL || *end != '\0')
            continue;
        *unix_s = (int64_t)timegm(&tm);
        return true;
    }
    return false;
}

/* In the order of RFC 9110 §13.2.2. A header that is no date counts as absent. */
int leat_http_file_condition(const leat_http_request *r, const char *etag, int64_t modified_s)
{
    int64_t date = 0;
    leat_slice match = leat_http_find(r, "if-match");
    leat_slice none = leat_http_find(r, "if-none-match");
    if (match.at != NULL) {
        if (!lists_tag(match, etag, false))
            return 412;
    } else if (read_date(leat_http_find(r, "if-unmodified-since"), &date) && modified_s > date) {
        return 412;
    }
    if (none.at != NULL)
        return lists_tag(none, etag, true) ? 304 : 0;
    bool fresh = read_date(leat_http_find(r, "if-modified-since"), &date) && modified_s <= date;
    return fresh ? 304 : 0;
}
