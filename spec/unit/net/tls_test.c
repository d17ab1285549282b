/* TLS between a conn and OpenSSL's own client, in one thread, over a real socket. */
#include "net/tls_side.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "fixture.h"
#include "wire/tls_facts.h"

typedef struct world {
    fixture *f;
    char folder[64], certificate[96], key[96];
    leat_tls_store *store;
    leat_metrics *store_metrics;
    leat_tls_side *side;
    SSL_CTX *ctx; /* the client's */
    SSL_SESSION *session;
} world;

/* --- files --- */

static void write_pair(const world *w, const char *name, bool with_key)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -60);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_set_pubkey(x, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    FILE *f = fopen(w->certificate, "w");
    assert_int_equal(PEM_write_X509(f, x), 1);
    fclose(f);
    if (with_key) {
        f = fopen(w->key, "w");
        assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
        fclose(f);
    }
    X509_free(x);
    EVP_PKEY_free(key);
}

/* --- the world --- */

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    world *w = SSL_get_app_data(ssl);
    SSL_SESSION_free(w->session);
    w->session = session;
    return 1;
}

static void make_side(world *w, size_t max_handshakes)
{
    w->side = leat_tls_side_new(w->f->loop, w->f->metrics,
                                &(leat_tls_side_options){.store = w->store,
                                                         .handshake_timeout_ms = 60000,
                                                         .max_handshakes = max_handshakes});
}

static int set_up(void **state)
{
    world *w = calloc(1, sizeof(*w));
    fixture_setup((void **)&w->f);
    strcpy(w->folder, "/tmp/leat-tls-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    snprintf(w->certificate, sizeof(w->certificate), "%s/cert.pem", w->folder);
    snprintf(w->key, sizeof(w->key), "%s/key.pem", w->folder);
    write_pair(w, "one.test", true);
    leat_buf error = LEAT_BUF_INIT;
    w->store_metrics = leat_metrics_new(w->f->registry);
    assert_int_equal(
        leat_tls_store_new(&w->store,
                           &(leat_tls_files){w->certificate, w->key, "", LEAT_TLS_CLIENTS_UNASKED},
                           w->store_metrics, &error),
        0);
    make_side(w, 2);
    w->ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_session_cache_mode(w->ctx, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_sess_set_new_cb(w->ctx, on_session);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    SSL_SESSION_free(w->session);
    SSL_CTX_free(w->ctx);
    leat_tls_side_free(w->side);
    leat_tls_store_free(w->store);
    void *f = w->f;
    fixture_teardown(&f);
    unlink(w->certificate);
    unlink(w->key);
    rmdir(w->folder);
    free(w);
    return 0;
}

static int64_t metric(const world *w, leat_metric id)
{
    return leat_metrics_get(w->f->metrics, id);
}

/* --- a client --- */

static SSL *client(world *w, fixture_pair *p)
{
    SSL *ssl = SSL_new(w->ctx);
    SSL_set_app_data(ssl, w);
    SSL_set_fd(ssl, p->peer);
    SSL_set_tlsext_host_name(ssl, "one.test");
    return ssl;
}

static fixture_pair *begin(world *w, int buffer)
{
    fixture_pair *p = fixture_connect(w->f, buffer);
    leat_tls_side_begin(w->side, p->conn);
    return p;
}

/* Lets both ends go on until the handshake is over. Returns SSL_connect's last result. */
static int shake_hands(world *w, SSL *ssl)
{
    int result = 0;
    for (int i = 0; i < 1000 && result != 1; i++) {
        ERR_clear_error();
        result = SSL_connect(ssl);
        int why = SSL_get_error(ssl, result);
        if (result != 1 && why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
            return -1;
        fixture_turn(w->f);
    }
    return result;
}

static void make_non_blocking(fixture_pair *p)
{
    assert_int_equal(fcntl(p->peer, F_SETFL, O_NONBLOCK), 0);
}

/* A client that does not block, after its handshake. */
static SSL *shaken(world *w, fixture_pair *p)
{
    SSL *ssl = client(w, p);
    make_non_blocking(p);
    assert_int_equal(shake_hands(w, ssl), 1);
    return ssl;
}

/* Reads until so many bytes have come, or the end. Returns how many; *why: SSL_get_error. */
static size_t hear(world *w, SSL *ssl, leat_buf *out, size_t want, int *why)
{
    *why = SSL_ERROR_NONE;
    for (int i = 0; i < 200000 && out->len < want; i++) {
        char bytes[20000];
        ERR_clear_error();
        int n = SSL_read(ssl, bytes, sizeof(bytes));
        if (n > 0) {
            leat_buf_append(out, bytes, (size_t)n);
            continue;
        }
        *why = SSL_get_error(ssl, n);
        if (*why != SSL_ERROR_WANT_READ)
            return out->len;
        fixture_turn(w->f);
    }
    return out->len;
}

static void until_got(world *w, fixture_pair *p, size_t len)
{
    uint64_t limit_ns = uv_hrtime() + 5000000000u;
    while (p->got.len < len && uv_hrtime() < limit_ns) /* an ACK may come late, and data after it */
        fixture_turn(w->f);
    assert_int_equal(p->got.len, len);
}

static void end(fixture_pair *p, SSL *ssl)
{
    if (ssl != NULL)
        SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN); /* else its session could not be resumed */
    SSL_free(ssl);
    fixture_hang_up(p);
    if (p->conn != NULL)
        leat_conn_close(p->conn);
    while (p->closes == 0)
        fixture_turn(p->f);
    fixture_release(p);
}

/* --- tests --- */

static void carries_bytes_both_ways(void **state)
{
    world *w = *state;
    fixture_pair *p = begin(w, 0);
    SSL *ssl = client(w, p);
    leat_buf heard = LEAT_BUF_INIT;
    int why = 0;
    make_non_blocking(p);

    leat_conn_send_copy(p->conn, leat_slice_of("queued before the handshake"));
    assert_int_equal(metric(w, LEAT_M_TLS_UNDER_WAY), 1);
    assert_int_equal(shake_hands(w, ssl), 1);
    assert_int_equal(SSL_write(ssl, "hello", 5), 5);
    until_got(w, p, 5);
    hear(w, ssl, &heard, strlen("queued before the handshake"), &why);

    assert_memory_equal(p->got.at, "hello", 5);
    assert_memory_equal(heard.at, "queued before the handshake", heard.len);
    assert_string_equal(SSL_get_version(ssl), "TLSv1.3");
    assert_int_equal(metric(w, LEAT_M_TLS_FULL), 1);
    assert_int_equal(metric(w, LEAT_M_TLS_UNDER_WAY), 0);
    leat_tls_facts facts = leat_tls_facts_read(leat_tls_side_facts(p->conn));
    assert_true(leat_slice_is(facts.version, "TLSv1.3"));
    assert_true(leat_slice_is(facts.server_name, "one.test"));
    assert_null(facts.subject.at);
    leat_buf_close(&heard);
    end(p, ssl);
    assert_int_equal(metric(w, LEAT_M_TLS_IN_PROCESS) + metric(w, LEAT_M_TLS_IN_KERNEL), 0);
}

/* One large record, a small buffer, and a pause: what OpenSSL holds must come without any event of
 * the socket. */
static void reads_what_the_record_still_holds(void **state)
{
    world *w = *state;
    fixture_pair *p = begin(w, 0);
    SSL *ssl = client(w, p);
    char bytes[16000];
    memset(bytes, 'r', sizeof(bytes));
    make_non_blocking(p);
    assert_int_equal(shake_hands(w, ssl), 1);
    leat_conn_set_read_size(p->conn, 1024);

    leat_conn_read_stop(p->conn);
    assert_int_equal(SSL_write(ssl, bytes, sizeof(bytes)), sizeof(bytes));
    fixture_turn(w->f);
    assert_int_equal(p->got.len, 0);
    leat_conn_read_start(p->conn);
    until_got(w, p, 3072);
    leat_conn_read_stop(p->conn);
    for (int i = 0; i < 10; i++)
        fixture_turn(w->f);
    assert_int_equal(p->got.len, 3072);
    leat_conn_read_start(p->conn);
    until_got(w, p, sizeof(bytes));

    end(p, ssl);
}

/* Pieces of all sizes through a small socket, with the queue growing between the tries. */
static void keeps_order_through_a_full_socket(void **state)
{
    world *w = *state;
    fixture_pair *p = begin(w, 4096);
    SSL *ssl = shaken(w, p);
    leat_buf sent = LEAT_BUF_INIT, heard = LEAT_BUF_INIT;
    int why = 0;

    for (int i = 0; i < 400; i++) {
        leat_buf piece = LEAT_BUF_INIT;
        size_t len = (size_t)(i * 7919 % 3001) + 1;
        for (size_t at = 0; at < len; at++)
            leat_buf_char(&piece, (char)('a' + (at + (size_t)i) % 26));
        leat_buf_slice(&sent, leat_buf_view(&piece));
        leat_conn_send_owned(p->conn, &piece);
        if (i % 3 == 0)
            fixture_turn(w->f);
        if (i % 50 == 49)
            hear(w, ssl, &heard, heard.len + 5000, &why);
    }
    assert_true(leat_conn_blocked(p->conn));
    hear(w, ssl, &heard, sent.len, &why);

    assert_int_equal(heard.len, sent.len);
    assert_memory_equal(heard.at, sent.at, sent.len);
    assert_int_equal(leat_conn_queued(p->conn), 0);
    assert_true(p->drains > 0);
    leat_buf_close(&sent);
    leat_buf_close(&heard);
    end(p, ssl);
}

static void finishes_with_close_notify(void **state)
{
    world *w = *state;
    fixture_pair *p = begin(w, 0);
    SSL *ssl = shaken(w, p);
    leat_buf heard = LEAT_BUF_INIT;
    int why = 0;

    leat_conn_send_copy(p->conn, leat_slice_of("last"));
    leat_conn_finish(p->conn, UINT64_MAX);
    hear(w, ssl, &heard, 5, &why);

    assert_int_equal(why, SSL_ERROR_ZERO_RETURN);
    assert_int_equal(heard.len, 4);
    leat_buf_close(&heard);
    end(p, ssl);
}

/* close_notify of the peer is a half-close: what is queued still leaves, and ours follows. */
static void answers_a_half_close(void **state)
{
    world *w = *state;
    fixture_pair *p = begin(w, 4096);
    SSL *ssl = shaken(w, p);
    leat_buf heard = LEAT_BUF_INIT, large = LEAT_BUF_INIT;
    int why = 0;
    memset(leat_buf_reserve(&large, 300000), 'x', 300000);
    large.len = 300000;

    leat_conn_send_owned(p->conn, &large);
    fixture_turn(w->f);
    assert_int_equal(SSL_shutdown(ssl), 0);
    hear(w, ssl, &heard, 300001, &why);

    assert_int_equal(heard.len, 300000);
    assert_int_equal(why, SSL_ERROR_ZERO_RETURN);
    while (p->closes == 0)
        fixture_turn(w->f);
    assert_int_equal(p->close_err, UV_EOF);
    leat_buf_close(&heard);
    end(p, ssl);
}

static void notices_an_end_while_it_does_not_read(void **state)
{
    world *w = *state;
    fixture_pair *p = begin(w, 0);
    SSL *ssl = shaken(w, p);
    leat_buf heard = LEAT_BUF_INIT;
    int why = 0;
    leat_conn_send_copy(p->conn, leat_slice_of("."));
    hear(w, ssl, &heard, 1, &why);
    leat_conn_read_stop(p->conn);

    assert_int_equal(SSL_write(ssl, "unread", 6), 6);
    fixture_turn(w->f);
    assert_int_equal(p->closes, 0);
    fixture_hang_up(p);
    while (p->closes == 0)
        fixture_turn(w->f);

    assert_int_equal(p->close_err, UV_EOF);
    assert_int_equal(p->reads, 0);
    leat_buf_close(&heard);
    end(p, ssl);
}

static void takes_a_cut_connection_for_its_end(void **state)
{
    world *w = *state;
    fixture_pair *p = begin(w, 0);
    SSL *ssl = shaken(w, p);
    leat_buf heard = LEAT_BUF_INIT;
    int why = 0;
    leat_conn_send_copy(p->conn, leat_slice_of("."));
    hear(w, ssl, &heard, 1, &why); /* nothing is left unread, so the end is no reset */

    fixture_hang_up(p);
    while (p->closes == 0)
        fixture_turn(w->f);

    assert_int_equal(p->close_err, UV_EOF);
    leat_buf_close(&heard);
    end(p, ssl);
}

static void resumes_a_session(void **state)
{
    world *w = *state;
    for (int i = 0; i < 2; i++) {
        fixture_pair *p = begin(w, 0);
        SSL *ssl = client(w, p);
        leat_buf heard = LEAT_BUF_INIT;
        int why = 0;
        make_non_blocking(p);
        if (w->session != NULL)
            SSL_set_session(ssl, w->session);
        assert_int_equal(shake_hands(w, ssl), 1);
        leat_conn_send_copy(p->conn, leat_slice_of("."));
        hear(w, ssl, &heard, 1, &why); /* the ticket comes before */
        assert_int_equal(SSL_session_reused(ssl), i);
        leat_buf_close(&heard);
        end(p, ssl);
    }
    assert_int_equal(metric(w, LEAT_M_TLS_FULL), 1);
    assert_int_equal(metric(w, LEAT_M_TLS_RESUMED), 1);
}

static void answers_plain_http(void **state)
{
    world *w = *state;
    fixture_pair *p = begin(w, 0);

    fixture_say(p, "GET / HTTP/1.1\r\nHost: one.test\r\n\r\n");
    for (int i = 0; i < 1000 && !p->peer_eof; i++) {
        fixture_turn(w->f);
        fixture_hear(p);
    }
    leat_buf_char(&p->heard, '\0');

    assert_true(p->peer_eof);
    assert_non_null(strstr(p->heard.at, "HTTP/1.1 400 "));
    assert_int_equal(metric(w, LEAT_M_TLS_FAILED_PLAIN), 1);
    assert_int_equal(metric(w, LEAT_M_TLS_UNDER_WAY), 0);
    assert_int_equal(p->reads, 0);
    end(p, NULL);
}

/* At the limit of two, the third makes the first one go. */
static void the_oldest_handshake_makes_room(void **state)
{
    world *w = *state;
    fixture_pair *first = begin(w, 0), *second = begin(w, 0), *third = begin(w, 0);

    fixture_until(first, fixture_closed);

    assert_non_null(second->conn);
    assert_non_null(third->conn);
    assert_int_equal(metric(w, LEAT_M_TLS_FAILED_CROWDED), 1);
    assert_int_equal(metric(w, LEAT_M_TLS_UNDER_WAY), 2);
    end(first, NULL);
    end(second, NULL);
    end(third, NULL);
    assert_int_equal(metric(w, LEAT_M_TLS_UNDER_WAY), 0);
    assert_int_equal(metric(w, LEAT_M_TLS_FAILED_GONE), 2);
}

static void times_out(void **state)
{
    world *w = *state;
    fixture_pair *p = begin(w, 0);

    fixture_say(p, "\x16\x03\x01"); /* the beginning of a record */
    fixture_turn(w->f);
    leat_deadline_queue_advance(leat_loop_deadlines(w->f->loop), leat_loop_now(w->f->loop) + 60001);
    fixture_until(p, fixture_closed);

    assert_int_equal(metric(w, LEAT_M_TLS_FAILED_TIMEOUT), 1);
    end(p, NULL);
}

static SSL *meet(world *w, fixture_pair *p)
{
    make_non_blocking(p);
    SSL *ssl = client(w, p);
    assert_int_equal(shake_hands(w, ssl), 1);
    return ssl;
}

/* The connection's own messages stay within a batch that it may send. */
static void rekey(world *w, SSL *ssl, int times)
{
    for (int i = 0; i < times; i++) {
        assert_int_equal(SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        if (SSL_do_handshake(ssl) != 1)
            return; /* it has been closed */
    }
    fixture_turn(w->f);
}

static void takes_new_keys_now_and_then(void **state)
{
    world *w = *state;
    fixture_pair *p = begin(w, 0);
    SSL *ssl = meet(w, p);

    rekey(w, ssl, 32);
    assert_int_equal(SSL_write(ssl, "data", 4), 4);
    until_got(w, p, 4);

    assert_int_equal(p->closes, 0);
    assert_int_equal(metric(w, LEAT_M_FLOODS_CLOSED), 0);
    end(p, ssl);
}

static void ends_a_flood_of_new_keys(void **state)
{
    world *w = *state;
    fixture_pair *p = begin(w, 0);
    SSL *ssl = meet(w, p);

    rekey(w, ssl, 400);
    fixture_until(p, fixture_closed);

    assert_int_equal(metric(w, LEAT_M_FLOODS_CLOSED), 1);
    assert_int_equal(p->got.len, 0);
    end(p, ssl);
}

static void refuses_an_old_version(void **state)
{
    world *w = *state;
    fixture_pair *p = begin(w, 0);
    SSL *ssl = client(w, p);
    make_non_blocking(p);
    SSL_set_security_level(ssl, 0);
    SSL_set_min_proto_version(ssl, TLS1_1_VERSION);
    SSL_set_max_proto_version(ssl, TLS1_1_VERSION);

    assert_int_equal(shake_hands(w, ssl), -1);

    assert_int_equal(metric(w, LEAT_M_TLS_FAILED_VERSION), 1);
    end(p, ssl);
}

/* A new certificate alone does not fit the old key: both are taken once both are there. */
static void follows_its_files(void **state)
{
    world *w = *state;
    leat_tls_set *before = leat_tls_store_take(w->store);
    write_pair(w, "two.test", false);

    leat_tls_store_look(w->store);
    leat_tls_store_look(w->store);
    leat_tls_set *between = leat_tls_store_take(w->store);
    write_pair(w, "three.test", true);
    leat_tls_store_look(w->store);
    leat_tls_set *after = leat_tls_store_take(w->store);

    assert_ptr_equal(before, between);
    assert_ptr_not_equal(before, after);
    assert_int_equal(leat_metrics_get(w->store_metrics, LEAT_M_TLS_RELOADS_FAILED), 1);
    assert_int_equal(leat_metrics_get(w->store_metrics, LEAT_M_TLS_RELOADS_OK), 1);
    assert_true(leat_metrics_get(w->store_metrics, LEAT_M_TLS_EXPIRY) > 86400);
    leat_tls_set_unref(before);
    leat_tls_set_unref(between);
    leat_tls_set_unref(after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(carries_bytes_both_ways, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reads_what_the_record_still_holds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keeps_order_through_a_full_socket, set_up, tear_down),
        cmocka_unit_test_setup_teardown(finishes_with_close_notify, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers_a_half_close, set_up, tear_down),
        cmocka_unit_test_setup_teardown(notices_an_end_while_it_does_not_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(takes_a_cut_connection_for_its_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(resumes_a_session, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers_plain_http, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_oldest_handshake_makes_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(times_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(takes_new_keys_now_and_then, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ends_a_flood_of_new_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_an_old_version, set_up, tear_down),
        cmocka_unit_test_setup_teardown(follows_its_files, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
