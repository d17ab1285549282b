/* http_static.c - a file's course: the path is resolved; a job opens the file on the thread pool
 * (open_file, on_opened), or FILE.gz beside it, if that is wanted, there and no older; or the
 * compressed form of the file is asked for (choose_form, on_form). The head is written
 * (answer_file), and the content is read piece by piece (read_piece), each piece only when the one
 * before has left for the socket, so that a file costs one piece of memory however large it is and
 * however slow the client. */
#include "http/http_static.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/container_of.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/http_answer.h"
#include "http/http_file.h"
#include "http/http_gzip.h"
#include "wire/gzip.h"
#include "wire/range.h"

#define PIECE_BYTES 32768
/* While the connections hold more memory than they should. */
#define SMALL_PIECE_BYTES 2048
#define MAX_FILE_BYTES (INT64_C(4) << 30)

/* no-cache: kept, but asked for with If-None-Match each time, so that a new deployment shows at
 * once. */
#define COMMON_HEADERS "Cache-Control: no-cache\r\n"

/* Where the content comes from. */
enum source {
    SOURCE_FILE,
    SOURCE_BESIDE, /* FILE.gz, which is open instead of the file */
    SOURCE_FORM,   /* the compressed form in memory */
};

struct file {
    leat_http_conn *conn; /* NULL once cancelled */
    leat_http_side *side;
    uv_work_t work;
    uv_fs_t read;
    leat_http_form_wait wait;
    bool pending; /* work or read is under way on the thread pool, or a form is awaited */
    bool holding; /* a piece was read and waits to be sent */
    char *folder;
    leat_buf name;
    const char *type;
    leat_coding coding; /* which the request wants; PLAIN for content that does not get shorter */
    enum source source;
    leat_http_form *form; /* SOURCE_FORM: held */
    struct stat st;       /* of what is open */
    int fd;               /* or -errno */
    uint64_t at;          /* the next byte to be sent */
    uint64_t end;         /* behind the last one */
    leat_buf piece;
};

static void open_file(uv_work_t *work);
static void on_opened(uv_work_t *work, int status);
static void answer(struct file *f);
static void on_form(leat_http_form_wait *w, leat_http_form *form);
static void answer_file(struct file *f);
static void read_piece(struct file *f);
static void send_piece(struct file *f);
static void on_piece(uv_fs_t *read);
static void on_writable(void *arg);
static void on_cancel(void *arg);
static void free_file(struct file *f);

/* A folder, and the path of a file in it. */
struct place {
    const char *folder; /* "": none */
    leat_slice path;
};

static bool takes_gzip(const struct file *f)
{
    return f->coding == LEAT_CODING_GZIP || f->coding == LEAT_CODING_GZIP_ONLY;
}

static bool takes_plain(const struct file *f)
{
    return f->coding == LEAT_CODING_GZIP || f->coding == LEAT_CODING_PLAIN;
}

static bool may_compress(leat_http_conn *c, const char *type)
{
    return leat_http_conn_side(c)->gzip != NULL && leat_gzip_helps(leat_slice_of(type));
}

/* Of the compressed content no part is sent: whoever asks for a part gets it from the file. */
static leat_coding coding_of(leat_http_conn *c, const char *type)
{
    leat_coding wanted = leat_gzip_wanted(leat_http_conn_request(c));
    bool part = leat_http_find(leat_http_conn_request(c), "range").at != NULL;
    if (!may_compress(c, type))
        return wanted == LEAT_CODING_GZIP ? LEAT_CODING_PLAIN : wanted;
    return wanted == LEAT_CODING_GZIP && part ? LEAT_CODING_PLAIN : wanted;
}

/* The JavaScript client has a path of its own, which the files of static_dir do not take. */
static struct place place_of(leat_http_conn *c)
{
    static const char client[] = "/leat/";
    const size_t len = sizeof(client) - 1;
    const leat_http_options *options = leat_http_conn_side(c)->options;
    leat_slice path = leat_http_conn_request(c)->path;
    if (path.len < len || memcmp(path.at, client, len) != 0)
        return (struct place){options->static_dir, path};
    return (struct place){options->client_dir, {path.at + len - 1, path.len - (len - 1)}};
}

void leat_http_static_answer(leat_http_conn *c)
{
    leat_http_side *side = leat_http_conn_side(c);
    struct place place = place_of(c);
    leat_buf name = LEAT_BUF_INIT;
    if (place.folder[0] == '\0' || !leat_http_file_resolve(place.path, &name)) {
        leat_buf_close(&name);
        leat_http_answer_absent(c);
        return;
    }
    struct file *f = leat_calloc(1, sizeof(*f));
    f->conn = c;
    f->side = side;
    f->folder = leat_strdup(place.folder);
    f->name = name;
    f->fd = -EAGAIN;
    f->type = leat_http_file_type(name.at);
    f->coding = coding_of(c, f->type);
    f->wait.cb = on_form;
    f->work.data = f->read.data = f;
    leat_http_conn_set_task(
        c, (leat_http_task){.cancel = on_cancel, .on_writable = on_writable, .arg = f});
    f->pending = true;
    int err = uv_queue_work(leat_loop_uv(side->loop), &f->work, open_file, on_opened);
    LEAT_ASSERT(err == 0); /* fails only without a function to run */
}

/* Opens FILE.gz instead, if it is no older than the file. */
static void open_beside(struct file *f)
{
    struct stat st;
    leat_buf name = LEAT_BUF_INIT;
    leat_buf_text(&name, f->name.at);
    leat_buf_append(&name, leat_http_file_is_folder(f->name.at) ? "index.html.gz" : ".gz",
                    leat_http_file_is_folder(f->name.at) ? sizeof("index.html.gz") : sizeof(".gz"));
    int fd = leat_http_file_open(f->folder, name.at, &st);
    leat_buf_close(&name);
    if (fd >= 0 && st.st_size > 0 && st.st_mtime >= f->st.st_mtime) {
        close(f->fd);
        f->fd = fd;
        f->st = st;
        f->source = SOURCE_BESIDE;
    } else if (fd >= 0) {
        close(fd);
    }
}

static void open_file(uv_work_t *work)
{
    struct file *f = work->data;
    f->fd = leat_http_file_open(f->folder, f->name.at, &f->st);
    if (f->fd >= 0 && f->side->gzip != NULL && takes_gzip(f))
        open_beside(f);
}

static void on_opened(uv_work_t *work, int status)
{
    struct file *f = work->data;
    f->pending = false;
    if (status < 0 && f->fd >= 0) {
        close(f->fd);
        f->fd = status;
    }
    if (f->conn == NULL)
        free_file(f);
    else
        answer(f);
}

static void free_file(struct file *f)
{
    leat_http_form_release(f->form);
    if (f->fd >= 0)
        close(f->fd);
    free(f->folder);
    leat_buf_close(&f->name);
    leat_buf_close(&f->piece);
    free(f);
}

static void on_cancel(void *arg)
{
    struct file *f = arg;
    f->conn = NULL;
    if (!f->pending)
        free_file(f);
}

/* --- the head --- */

/* The slash makes relative links in the folder's index work. The path cannot begin with two slashes
 * (resolve), so this leads to no other host. */
static void redirect_to_folder(leat_http_conn *c)
{
    const leat_http_request *r = leat_http_conn_request(c);
    leat_buf header = LEAT_BUF_INIT;
    leat_buf_text(&header, "Location: ");
    leat_buf_slice(&header, r->path);
    leat_buf_char(&header, '/');
    if (r->query.at != NULL) {
        leat_buf_char(&header, '?');
        leat_buf_slice(&header, r->query);
    }
    leat_buf_append(&header, "\r\n", 3);
    leat_http_answer(c, 308, NULL, header.at, leat_slice_of(""));
    leat_buf_close(&header);
}

static void refuse_unopened(leat_http_conn *c, int err)
{
    switch (-err) {
    case EISDIR:
        redirect_to_folder(c);
        break;
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case EXDEV:
    case EACCES:
    case ENAMETOOLONG:
    case ENXIO:
        leat_http_answer_absent(c);
        break;
    default:
        LEAT_LOG_WARN("http", "static file not opened err=%s", uv_err_name(err));
        leat_http_answer_refusal(c, 503, "unavailable",
                                 leat_slice_of("the file cannot be read now"), 1000, NULL);
    }
}

static uint64_t size_of(const struct file *f)
{
    return f->source == SOURCE_FORM ? leat_http_form_bytes(f->form).len : (uint64_t)f->st.st_size;
}

/* Begins the answer with the bytes from at to end. */
static void send_head(struct file *f, int status, const char *headers)
{
    leat_http_conn *c = f->conn;
    const char *type = f->type;
    leat_slice body = {NULL, (size_t)(f->end - f->at)};
    if (leat_slice_is(leat_http_conn_request(c)->method, "HEAD") || body.len == 0) {
        free_file(f); /* of the body, HEAD's answer takes the length only */
        leat_http_answer(c, status, type, headers, body);
        return;
    }
    leat_http_answer_head(c, status, type, headers, body.len);
    read_piece(f);
}

/* Whether the part that is asked for is one of this version (If-Range, RFC 9110 §13.1.5). */
static bool is_same_version(const leat_http_request *r, const char *etag, const char *modified)
{
    leat_slice version = leat_http_find(r, "if-range");
    return version.at == NULL || leat_slice_is(version, etag) || leat_slice_is(version, modified);
}

/* Takes the part that is asked for. Returns the status, 200 for the whole. */
static int take_range(struct file *f, const char *etag, const char *modified, leat_buf *headers)
{
    const leat_http_request *r = leat_http_conn_request(f->conn);
    leat_range range;
    f->end = size_of(f);
    if (f->source != SOURCE_FILE)
        return 200;
    leat_buf_text(headers, "Accept-Ranges: bytes\r\n");
    if (!leat_slice_is(r->method, "GET") || leat_http_count(r, "range") != 1 ||
        !is_same_version(r, etag, modified))
        return 200;
    switch (leat_range_read(leat_http_find(r, "range"), f->end, &range)) {
    case LEAT_RANGE_NONE:
        break;
    case LEAT_RANGE_PART:
        leat_buf_printf(headers, "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n",
                        range.first, range.last, f->end);
        f->at = range.first;
        f->end = range.last + 1;
        return 206;
    case LEAT_RANGE_UNSATISFIABLE:
        leat_buf_printf(headers, "Content-Range: bytes */%" PRIu64 "\r\n", f->end);
        return 416;
    }
    return 200;
}

static void answer_version(struct file *f, const char *etag, const char *modified)
{
    leat_http_conn *c = f->conn;
    leat_buf headers = LEAT_BUF_INIT;
    leat_buf_printf(&headers, "%sETag: %s\r\nLast-Modified: %s\r\n", COMMON_HEADERS, etag,
                    modified);
    if (may_compress(c, f->type))
        leat_buf_text(&headers, "Vary: Accept-Encoding\r\n");
    int status = leat_http_file_condition(leat_http_conn_request(c), etag, f->st.st_mtim.tv_sec);
    bool sent = status == 0;
    if (sent && f->source != SOURCE_FILE)
        leat_buf_text(&headers, "Content-Encoding: gzip\r\n");
    if (sent)
        status = take_range(f, etag, modified, &headers);
    leat_buf_char(&headers, '\0');
    if (!sent || status == 416) {
        free_file(f);
        leat_http_answer(c, status, NULL, headers.at, leat_slice_of(""));
    } else {
        send_head(f, status, headers.at);
    }
    leat_buf_close(&headers);
}

static void answer_file(struct file *f)
{
    leat_http_conn *c = f->conn;
    if (f->source == SOURCE_FILE && !takes_plain(f)) {
        free_file(f);
        leat_http_answer_refusal(c, 406, "bad_request",
                                 leat_slice_of("this file is there without a coding only"), 0,
                                 "Vary: Accept-Encoding\r\n");
        return;
    }
    leat_buf etag = LEAT_BUF_INIT;
    leat_buf modified = LEAT_BUF_INIT;
    leat_http_file_validators(&f->st, f->source != SOURCE_FILE, &etag, &modified);
    answer_version(f, etag.at, modified.at);
    leat_buf_close(&etag);
    leat_buf_close(&modified);
}

/* --- the compressed form --- */

static void on_form(leat_http_form_wait *w, leat_http_form *form)
{
    struct file *f = LEAT_CONTAINER_OF(w, struct file, wait);
    f->pending = false;
    f->form = form;
    if (form != NULL)
        f->source = SOURCE_FORM;
    if (f->conn == NULL)
        free_file(f);
    else
        answer_file(f);
}

static leat_http_gzip_answer ask_for_form(struct file *f)
{
    leat_buf key = LEAT_BUF_INIT;
    leat_buf_text(&key, f->folder);
    leat_buf_char(&key, '/');
    leat_buf_text(&key, f->name.at);
    leat_buf_char(&key, '\0');
    leat_http_file_validators(&f->st, true, &key, NULL);
    leat_http_gzip_answer found = leat_http_gzip_ask(f->side->gzip, leat_buf_view(&key), f->fd,
                                                     (size_t)f->st.st_size, &f->wait, &f->form);
    leat_buf_close(&key);
    return found;
}

/* Answers with the form that the request wants; later, if it has to be made. */
static void choose_form(struct file *f)
{
    bool short_file = (size_t)f->st.st_size < f->side->options->policy->gzip_min_bytes &&
                      f->coding == LEAT_CODING_GZIP;
    if (f->source == SOURCE_FILE && f->side->gzip != NULL && takes_gzip(f) && !short_file) {
        switch (ask_for_form(f)) {
        case LEAT_HTTP_GZIP_HELD:
            f->source = SOURCE_FORM;
            break;
        case LEAT_HTTP_GZIP_WAIT:
            f->pending = true;
            return;
        case LEAT_HTTP_GZIP_NONE:
            break;
        }
    }
    answer_file(f);
}

static void answer(struct file *f)
{
    leat_http_conn *c = f->conn;
    leat_slice method = leat_http_conn_request(c)->method;
    int fd = f->fd;
    if (fd < 0) {
        free_file(f);
        refuse_unopened(c, fd);
    } else if (!leat_slice_is(method, "GET") && !leat_slice_is(method, "HEAD")) {
        free_file(f);
        leat_http_answer_refusal(c, 405, "bad_request",
                                 leat_slice_of("a file answers GET and HEAD"), 0,
                                 "Allow: GET, HEAD\r\n");
    } else if (f->st.st_size > MAX_FILE_BYTES) {
        LEAT_LOG_WARN("http", "static file too large bytes=%lld", (long long)f->st.st_size);
        free_file(f);
        leat_http_answer_refusal(c, 500, "too_large", leat_slice_of("the file is too large"), 0,
                                 NULL);
    } else {
        choose_form(f);
    }
}

/* --- the body --- */

static void take_piece(struct file *f, size_t len)
{
    f->piece.len = len;
    if (leat_http_conn_writable(f->conn)) {
        send_piece(f);
    } else {
        f->holding = true;
        leat_http_conn_await_writable(f->conn);
    }
}

static void read_piece(struct file *f)
{
    uint64_t left = f->end - f->at;
    uint64_t piece = leat_http_conn_scarce(f->conn) ? SMALL_PIECE_BYTES : PIECE_BYTES;
    size_t want = (size_t)(left < piece ? left : piece);
    leat_http_conn_hold(f->conn, want);
    char *room = leat_buf_reserve(&f->piece, want);
    if (f->source == SOURCE_FORM) {
        memcpy(room, leat_http_form_bytes(f->form).at + f->at, want);
        take_piece(f, want);
        return;
    }
    uv_buf_t buf = uv_buf_init(room, (unsigned)want);
    f->pending = true;
    int err =
        uv_fs_read(leat_loop_uv(f->side->loop), &f->read, f->fd, &buf, 1, (int64_t)f->at, on_piece);
    LEAT_ASSERT(err == 0); /* with a callback, what fails is told to it */
}

static void abort_file(struct file *f)
{
    leat_http_conn *c = f->conn;
    LEAT_LOG_WARN("http", "static file cut short");
    free_file(f);
    leat_http_conn_abort(c);
}

/* Sends the piece that was read, then reads the next. */
static void send_piece(struct file *f)
{
    leat_http_conn *c = f->conn;
    f->holding = false;
    f->at += f->piece.len;
    leat_http_conn_send_piece(c, &f->piece);
    if (f->at < f->end) {
        read_piece(f);
        return;
    }
    free_file(f);
    leat_http_conn_end_pieces(c);
}

static void on_piece(uv_fs_t *read)
{
    struct file *f = read->data;
    ssize_t n = read->result;
    uv_fs_req_cleanup(read);
    f->pending = false;
    if (f->conn == NULL) {
        free_file(f);
        return;
    }
    if (n <= 0) {
        abort_file(f);
        return;
    }
    take_piece(f, (size_t)n);
}

static void on_writable(void *arg)
{
    struct file *f = arg;
    if (f->holding)
        send_piece(f);
}
