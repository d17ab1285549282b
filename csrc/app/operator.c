/* operator.c - leat_operator_send makes one request by libcurl: on_head and on_bytes take the
 * answer, on_progress ends the request if the server is silent for too long. A failure is told
 * in the server's own words, if it has any (tell_refusal), else in libcurl's (tell_failure). */
#include "app/operator.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>

#include "app/render.h"
#include "app/tree.h"
#include "control/tail.h"

#define SERVICE_SOCKET "/run/leat/control"

enum { MAX_ANSWER = 64 << 20, LONGEST_TICK_MS = 1500 };

void leat_operator_path(leat_buf *out, const char *given)
{
    const char *variable = getenv("LEAT_CONTROL");
    const char *folder = getenv("XDG_RUNTIME_DIR");
    if (given == NULL && variable != NULL && variable[0] == '/')
        given = variable;
    if (given != NULL) {
        leat_buf_text(out, given);
    } else if (folder != NULL && folder[0] == '/') {
        leat_buf_printf(out, "%s/leat/control", folder);
        leat_buf_char(out, '\0');
        out->len = access(out->at, F_OK) == 0 ? out->len - 1 : 0;
    }
    if (out->len == 0)
        leat_buf_text(out, SERVICE_SOCKET);
    leat_buf_char(out, '\0');
}

void leat_operator_add(leat_buf *target, const char *name, const char *value)
{
    if (value == NULL)
        return;
    bool first = target->len == 0 || memchr(target->at, '?', target->len) == NULL;
    leat_buf_printf(target, "%c%s=", first ? '?' : '&', name);
    for (const char *at = value; *at != '\0'; at++) {
        if (isalnum((unsigned char)*at) || strchr("-._~", *at) != NULL)
            leat_buf_char(target, *at);
        else
            leat_buf_printf(target, "%%%02X", (unsigned)(unsigned char)*at);
    }
}

struct receiving {
    CURL *easy;
    const leat_operator_request *request;
    leat_buf *answer;
    bool ended;        /* by on_piece */
    uint64_t alive_ms; /* how often signs of life come; 0: never, as far as is known */
    uint64_t silent_ms;
    uint64_t looked_ms;
};

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool is_good(CURL *easy)
{
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    return status == 200;
}

static size_t on_bytes(char *bytes, size_t size, size_t n, void *arg)
{
    struct receiving *r = arg;
    size_t len = size * n;
    r->silent_ms = 0;
    if (r->request->on_piece != NULL && is_good(r->easy)) {
        r->ended = !r->request->on_piece(r->request->arg, (leat_slice){bytes, len});
        return r->ended ? 0 : len;
    }
    if (r->answer->len + len > MAX_ANSWER)
        return 0;
    leat_buf_append(r->answer, bytes, len);
    return len;
}

static size_t on_head(char *bytes, size_t size, size_t n, void *arg)
{
    struct receiving *r = arg;
    static const char name[] = LEAT_TAIL_ALIVE ": ";
    size_t len = size * n;
    r->silent_ms = 0;
    if (len > sizeof(name) && strncasecmp(bytes, name, sizeof(name) - 1) == 0)
        r->alive_ms = strtoull(bytes + sizeof(name) - 1, NULL, 10); /* ends at the CR */
    return len;
}

/* libcurl asks once a second at least. Ends the request if the server is silent for too long. Time
 * in which this process was stopped does not count: there may be something to read. */
static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct receiving *r = arg;
    long status = 0;
    (void)a, (void)b, (void)c, (void)d;
    uint64_t tick_ms = now_ms() - r->looked_ms;
    r->looked_ms += tick_ms;
    r->silent_ms += tick_ms < LONGEST_TICK_MS ? tick_ms : LONGEST_TICK_MS;
    curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
    bool may_be_silent = status != 0 && r->alive_ms == 0;
    return !may_be_silent && r->silent_ms > r->alive_ms + r->request->silence_ms;
}

/* The server's own words, if it has any. A request that it does not understand was wrong usage. */
static int tell_refusal(CURL *easy, const leat_buf *answer, leat_buf *error)
{
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    leat_value *v = leat_tree_parse(leat_buf_view(answer));
    const char *message = leat_tree_text(v, "message");
    const char *problem = leat_tree_text(v, "error");
    if (message[0] == '\0')
        message = problem[0] != '\0' ? problem : "the server refuses the request";
    leat_render_text(error, message);
    leat_tree_free(v);
    return status == 400 || status == 405 || status == 413 ? LEAT_ECONFIG : LEAT_EBADMSG;
}

static int tell_failure(const struct receiving *r, CURLcode code, leat_buf *error)
{
    const leat_operator_request *request = r->request;
    long number = 0;
    curl_easy_getinfo(r->easy, CURLINFO_OS_ERRNO, &number);
    bool is_late = code == CURLE_ABORTED_BY_CALLBACK || code == CURLE_OPERATION_TIMEDOUT;
    if (is_late && is_good(r->easy)) {
        leat_buf_printf(error, "the server at %s hangs: no sign of life for %" PRIu64 " s",
                        request->socket, r->silent_ms / 1000);
        return LEAT_EDEADLINE;
    }
    leat_buf_printf(error, "no server answers at %s: %s", request->socket,
                    is_late       ? "no answer in time"
                    : number != 0 ? strerror((int)number)
                                  : curl_easy_strerror(code));
    return is_late ? LEAT_EDEADLINE : LEAT_ECLOSED;
}

static void set_options(CURL *easy, const leat_operator_request *request, const char *url)
{
    curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, request->socket);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    if (strcmp(request->method, "POST") == 0) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body != NULL ? request->body : "");
    }
}

int leat_operator_send(const leat_operator_request *request, leat_buf *answer, leat_buf *error)
{
    leat_buf url = LEAT_BUF_INIT;
    CURL *easy = curl_easy_init();
    LEAT_ASSERT(easy != NULL);
    struct receiving r = {
        .easy = easy, .request = request, .answer = answer, .looked_ms = now_ms()};
    /* An Expect header would cost a second with large bodies; JSON is what is sent. */
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
    headers = curl_slist_append(headers, "Content-Type: application/json");
    leat_buf_printf(&url, "http://leat%s", request->target);
    leat_buf_char(&url, '\0');
    set_options(easy, request, url.at);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &r);
    if (request->silence_ms > 0) {
        curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_head);
        curl_easy_setopt(easy, CURLOPT_HEADERDATA, &r);
        curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
        curl_easy_setopt(easy, CURLOPT_XFERINFODATA, &r);
        curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    }
    CURLcode code = curl_easy_perform(easy);
    int err = 0;
    if (code != CURLE_OK && !r.ended)
        err = tell_failure(&r, code, error);
    else if (!is_good(easy))
        err = tell_refusal(easy, answer, error);
    curl_slist_free_all(headers);
    curl_easy_cleanup(easy);
    leat_buf_close(&url);
    return err;
}
