/* fetch.c - leat_fetch_start puts a fetch on the list `incoming` and wakes the thread. The thread
 * (run) hands it to libcurl, waits for whatever happens first, and posts each fetch that has ended
 * to the loop's mailbox. There on_mail calls back, and frees it.
 *
 * A fetch that is cancelled goes the same way, only sooner, and nobody is called back: `cb` is for
 * the loop's thread alone. */
#include "fetch/fetch.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "base/list.h"
#include "base/mem.h"
#include "base/thread.h"
#include "loop/mailbox.h"

enum {
    MAX_REDIRECTS = 3,
    LONGEST_POLL_MS = 60000,
    HTTP_OK = 200,
};

struct leat_fetch {
    leat_mail mail; /* first in the way back to the loop */
    leat_fetcher *fetcher;
    leat_fetch_cb cb; /* NULL: cancelled */
    void *arg;

    leat_list link; /* incoming, then active */
    atomic_bool cancelled;
    char *url;
    char *ca_file;
    bool allow_http;
    uint64_t timeout_ms;
    size_t max_bytes;

    CURL *easy;
    leat_buf body;
    int err;
    char reason[CURL_ERROR_SIZE];
};

struct leat_fetcher {
    leat_mailbox *mailbox;
    void (*done)(void *arg);
    void *done_arg;
    pthread_t thread;
    CURLM *multi;

    uv_mutex_t lock;
    leat_list incoming; /* under lock */
    bool stopping;      /* under lock */

    leat_list active; /* the thread's */
};

static void *run(void *arg);
static void on_mail(void *arg, leat_mail *mail);

/* --- the loop's thread --- */

static void stop_thread(leat_fetcher *f)
{
    uv_mutex_lock(&f->lock);
    f->stopping = true;
    uv_mutex_unlock(&f->lock);
    curl_multi_wakeup(f->multi);
    pthread_join(f->thread, NULL);
}

static void close_curl(leat_fetcher *f)
{
    curl_multi_cleanup(f->multi); /* NULL does no harm */
    curl_global_cleanup();
}

int leat_fetcher_new(leat_fetcher **out, uv_loop_t *uv)
{
    leat_fetcher *f = leat_calloc(1, sizeof(*f));
    leat_list_init(&f->incoming);
    leat_list_init(&f->active);
    int err = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : UV_ENOMEM;
    if (err < 0)
        goto no_curl;
    f->multi = curl_multi_init();
    err = f->multi == NULL ? UV_ENOMEM : uv_mutex_init(&f->lock);
    if (err < 0)
        goto no_lock;
    err = -leat_thread_start(&f->thread, NULL, run, f);
    if (err < 0)
        goto no_thread;
    err = leat_mailbox_new(&f->mailbox, uv, on_mail, f);
    if (err < 0)
        goto no_mailbox;
    *out = f;
    return 0;

no_mailbox:
    stop_thread(f);
no_thread:
    uv_mutex_destroy(&f->lock);
no_lock:
    close_curl(f);
no_curl:
    free(f);
    return err;
}

static void free_fetch(leat_fetch *fetch)
{
    leat_buf_close(&fetch->body);
    free(fetch->url);
    free(fetch->ca_file);
    free(fetch);
}

static void on_mail(void *arg, leat_mail *mail)
{
    (void)arg;
    leat_fetch *fetch = LEAT_CONTAINER_OF(mail, leat_fetch, mail);
    if (fetch->cb != NULL)
        fetch->cb(fetch->arg, fetch->err, leat_buf_view(&fetch->body), fetch->reason);
    free_fetch(fetch);
}

leat_fetch *leat_fetch_start(leat_fetcher *f, const leat_fetch_options *options, leat_fetch_cb cb,
                             void *arg)
{
    leat_fetch *fetch = leat_calloc(1, sizeof(*fetch));
    fetch->fetcher = f;
    fetch->cb = cb;
    fetch->arg = arg;
    fetch->url = leat_strdup(options->url);
    fetch->ca_file = options->ca_file == NULL ? NULL : leat_strdup(options->ca_file);
    fetch->allow_http = options->allow_http;
    fetch->timeout_ms = options->timeout_ms;
    fetch->max_bytes = options->max_bytes;
    atomic_init(&fetch->cancelled, false);
    uv_mutex_lock(&f->lock);
    leat_list_push(&f->incoming, &fetch->link);
    uv_mutex_unlock(&f->lock);
    curl_multi_wakeup(f->multi);
    return fetch;
}

void leat_fetch_cancel(leat_fetch *fetch)
{
    fetch->cb = NULL;
    atomic_store(&fetch->cancelled, true);
    curl_multi_wakeup(fetch->fetcher->multi);
}

static void on_mailbox_closed(void *arg)
{
    leat_fetcher *f = arg;
    void (*done)(void *) = f->done;
    void *done_arg = f->done_arg;
    leat_mailbox_free(f->mailbox);
    uv_mutex_destroy(&f->lock);
    free(f);
    if (done != NULL)
        done(done_arg);
}

void leat_fetcher_close(leat_fetcher *f, void (*done)(void *arg), void *arg)
{
    f->done = done;
    f->done_arg = arg;
    stop_thread(f);
    close_curl(f);
    leat_mailbox_close(f->mailbox, on_mailbox_closed, f);
}

/* --- the fetcher's thread --- */

static size_t on_body(char *bytes, size_t size, size_t n, void *arg)
{
    leat_fetch *fetch = arg;
    if (size * n > fetch->max_bytes - fetch->body.len) {
        fetch->err = LEAT_ETOOLARGE;
        return 0;
    }
    leat_buf_append(&fetch->body, bytes, size * n);
    return size * n;
}

/* Also counts what on_body does not get: the body of a redirect. */
static int on_progress(void *arg, curl_off_t total, curl_off_t received, curl_off_t to_send,
                       curl_off_t sent)
{
    leat_fetch *fetch = arg;
    (void)total, (void)to_send, (void)sent;
    if (received <= 0 || (uint64_t)received <= fetch->max_bytes)
        return 0;
    fetch->err = LEAT_ETOOLARGE;
    return 1;
}

static void set_options(leat_fetch *fetch)
{
    CURL *easy = fetch->easy;
    const char *protocols = fetch->allow_http ? "https,http" : "https";
    curl_easy_setopt(easy, CURLOPT_URL, fetch->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, protocols);
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, protocols);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)MAX_REDIRECTS);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)fetch->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* a name server that hangs holds up nobody */
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "leat/" LEAT_VERSION);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L); /* as progress is asked for */
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, fetch);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, fetch->reason);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, fetch);
    if (fetch->ca_file != NULL) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, fetch->ca_file);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
}

/* The last act on a fetch: the loop's thread has it from here on. */
static void end(leat_fetch *fetch)
{
    leat_fetcher *f = fetch->fetcher;
    leat_list_unlink(&fetch->link);
    if (fetch->easy != NULL) {
        curl_multi_remove_handle(f->multi, fetch->easy);
        curl_easy_cleanup(fetch->easy);
        fetch->easy = NULL;
    }
    LEAT_ASSERT(leat_mailbox_post(f->mailbox, &fetch->mail)); /* it outlives this thread */
}

static void begin(leat_fetcher *f, leat_fetch *fetch)
{
    leat_list_push(&f->active, &fetch->link);
    fetch->err = LEAT_EBADMSG;
    fetch->easy = curl_easy_init();
    if (fetch->easy == NULL) {
        end(fetch);
        return;
    }
    set_options(fetch);
    if (curl_multi_add_handle(f->multi, fetch->easy) != CURLM_OK)
        end(fetch);
}

/* Returns false once the fetcher is to stop. */
static bool take_incoming(leat_fetcher *f)
{
    leat_list incoming;
    uv_mutex_lock(&f->lock);
    leat_list_move(&incoming, &f->incoming);
    bool stopping = f->stopping;
    uv_mutex_unlock(&f->lock);
    for (leat_list *link; (link = leat_list_shift(&incoming)) != NULL;)
        begin(f, LEAT_CONTAINER_OF(link, leat_fetch, link));
    return !stopping;
}

static void drop_cancelled(leat_fetcher *f, bool all)
{
    leat_list *next = NULL;
    for (leat_list *link = f->active.next; link != &f->active; link = next) {
        leat_fetch *fetch = LEAT_CONTAINER_OF(link, leat_fetch, link);
        next = link->next;
        if (all || atomic_load(&fetch->cancelled))
            end(fetch);
    }
}

static void judge(leat_fetch *fetch, CURLcode code)
{
    long status = 0;
    curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
    if (fetch->err == LEAT_ETOOLARGE) {
        snprintf(fetch->reason, sizeof(fetch->reason), "the document is too large");
    } else if (code != CURLE_OK) {
        fetch->err = code == CURLE_OPERATION_TIMEDOUT ? LEAT_EDEADLINE : LEAT_EBADMSG;
        if (fetch->reason[0] == '\0')
            snprintf(fetch->reason, sizeof(fetch->reason), "%s", curl_easy_strerror(code));
    } else if (status != HTTP_OK) {
        snprintf(fetch->reason, sizeof(fetch->reason), "the server answered %ld", status);
    } else {
        fetch->err = 0;
    }
}

static void take_ended(leat_fetcher *f)
{
    int left = 0;
    for (CURLMsg *m; (m = curl_multi_info_read(f->multi, &left)) != NULL;) {
        leat_fetch *fetch = NULL;
        if (m->msg != CURLMSG_DONE)
            continue;
        CURLcode code = m->data.result;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&fetch);
        judge(fetch, code);
        end(fetch);
    }
}

static void *run(void *arg)
{
    leat_fetcher *f = arg;
    leat_thread_name("leat fetch");
    int running = 0;
    while (take_incoming(f)) {
        drop_cancelled(f, false);
        curl_multi_perform(f->multi, &running);
        take_ended(f);
        curl_multi_poll(f->multi, NULL, 0, LONGEST_POLL_MS, NULL);
    }
    drop_cancelled(f, true);
    return NULL;
}
