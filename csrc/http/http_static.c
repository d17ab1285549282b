/* http_static.c - a file's course: the path is resolved; a job opens the file on the thread pool
 * (open_file, on_opened); the head is written, and the file is read piece by piece (on_piece), each
 * piece only when the one before has left for the socket, so that a file costs one piece of memory
 * however large it is and however slow the client. */
#include "http/http_static.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "http/http_answer.h"
#include "http/http_file.h"

#define PIECE_BYTES 32768
/* While the connections hold more memory than they should. */
#define SMALL_PIECE_BYTES 2048
#define MAX_FILE_BYTES (INT64_C(4) << 30)

/* no-cache: kept, but asked for with If-None-Match each time, so that a new deployment shows at
 * once. */
#define COMMON_HEADERS "Cache-Control: no-cache\r\n"

struct file {
    leat_http_conn *conn; /* NULL once cancelled */
    leat_http_side *side;
    uv_work_t work;
    uv_fs_t read;
    bool pending; /* work or read is under way on the thread pool */
    bool holding; /* a piece was read and waits to be sent */
    char *folder;
    leat_buf name;
    struct stat st;
    int fd; /* or -errno */
    int64_t at;
    leat_buf piece;
};

static void open_file(uv_work_t *work);
static void on_opened(uv_work_t *work, int status);
static void answer(struct file *f);
static void read_piece(struct file *f);
static void on_piece(uv_fs_t *read);
static void on_writable(void *arg);
static void on_cancel(void *arg);
static void free_file(struct file *f);

void leat_http_static_answer(leat_http_conn *c)
{
    leat_http_side *side = leat_http_conn_side(c);
    leat_buf name = LEAT_BUF_INIT;
    if (side->options->static_dir[0] == '\0' ||
        !leat_http_file_resolve(leat_http_conn_request(c)->path, &name)) {
        leat_buf_close(&name);
        leat_http_answer_absent(c);
        return;
    }
    struct file *f = leat_calloc(1, sizeof(*f));
    f->conn = c;
    f->side = side;
    f->folder = leat_strdup(side->options->static_dir);
    f->name = name;
    f->fd = -EAGAIN;
    f->work.data = f->read.data = f;
    leat_http_conn_set_task(
        c, (leat_http_task){.cancel = on_cancel, .on_writable = on_writable, .arg = f});
    f->pending = true;
    int err = uv_queue_work(leat_loop_uv(side->loop), &f->work, open_file, on_opened);
    LEAT_ASSERT(err == 0); /* fails only without a function to run */
}

static void open_file(uv_work_t *work)
{
    struct file *f = work->data;
    f->fd = leat_http_file_open(f->folder, f->name.at, &f->st);
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

static void send_head(struct file *f, const char *headers)
{
    leat_http_conn *c = f->conn;
    const leat_http_request *r = leat_http_conn_request(c);
    const char *type = leat_http_file_type(f->name.at);
    if (leat_slice_is(r->method, "HEAD")) {
        /* Of the body, HEAD's answer takes the length only. */
        leat_slice body = {NULL, (size_t)f->st.st_size};
        free_file(f);
        leat_http_answer(c, 200, type, headers, body);
        return;
    }
    if (f->st.st_size == 0) {
        free_file(f);
        leat_http_answer(c, 200, type, headers, leat_slice_of(""));
        return;
    }
    leat_http_answer_head(c, 200, type, headers, (size_t)f->st.st_size);
    read_piece(f);
}

static void answer_file(struct file *f)
{
    leat_http_conn *c = f->conn;
    leat_buf etag = LEAT_BUF_INIT;
    leat_buf modified = LEAT_BUF_INIT;
    leat_buf headers = LEAT_BUF_INIT;
    leat_http_file_validators(&f->st, &etag, &modified);
    leat_buf_printf(&headers, "%sETag: %s\r\nLast-Modified: %s\r\n", COMMON_HEADERS, etag.at,
                    modified.at);
    leat_buf_char(&headers, '\0');
    if (leat_http_file_fresh(leat_http_conn_request(c), etag.at, f->st.st_mtim.tv_sec)) {
        free_file(f);
        leat_http_answer(c, 304, NULL, headers.at, leat_slice_of(""));
    } else {
        send_head(f, headers.at);
    }
    leat_buf_close(&etag);
    leat_buf_close(&modified);
    leat_buf_close(&headers);
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
        answer_file(f);
    }
}

/* --- the body --- */

static void read_piece(struct file *f)
{
    int64_t left = f->st.st_size - f->at;
    int64_t piece = leat_http_conn_scarce(f->conn) ? SMALL_PIECE_BYTES : PIECE_BYTES;
    size_t want = (size_t)(left < piece ? left : piece);
    leat_http_conn_hold(f->conn, want);
    uv_buf_t buf = uv_buf_init(leat_buf_reserve(&f->piece, want), (unsigned)want);
    f->pending = true;
    int err = uv_fs_read(leat_loop_uv(f->side->loop), &f->read, f->fd, &buf, 1, f->at, on_piece);
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
    f->at += (int64_t)f->piece.len;
    leat_http_conn_send_piece(c, &f->piece);
    if (f->at < f->st.st_size) {
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
    f->piece.len = (size_t)n;
    if (leat_http_conn_writable(f->conn)) {
        send_piece(f);
    } else {
        f->holding = true;
        leat_http_conn_await_writable(f->conn);
    }
}

static void on_writable(void *arg)
{
    struct file *f = arg;
    if (f->holding)
        send_piece(f);
}
