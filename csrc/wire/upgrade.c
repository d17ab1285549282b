/* upgrade.c - leat_upgrade_check looks at each header that RFC 6455 §4.2.1 asks for;
 * leat_upgrade_write_accept writes the answer of §4.2.2. */
#include "wire/upgrade.h"

#include <stdlib.h>

#include <openssl/evp.h>

#include "base/err.h"
#include "base/mem.h"
#include "wire/crypto.h"

enum {
    KEY_LEN = 24, /* base64 of 16 bytes */
    SHA1_LEN = 20,
    USUAL_BYTES = 256, /* of a 101 */
};

struct leat_accept {
    EVP_MD *sha1;
    EVP_MD_CTX *context;
};

bool leat_upgrade_wanted(const leat_http_request *r)
{
    return leat_http_has_token(r, "upgrade", "websocket");
}

/* Whether key is the base64 of 16 bytes: 22 characters and two of padding. */
static bool key_ok(leat_slice key)
{
    if (key.len != KEY_LEN || key.at[22] != '=' || key.at[23] != '=')
        return false;
    for (size_t i = 0; i < 22; i++) {
        char c = key.at[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            c != '+' && c != '/')
            return false;
    }
    return true;
}

/* Subprotocols may be listed on several lines; their names have a case (RFC 6455 §11.3.4). wanted
 * NULL: any. */
static bool find_subprotocol(const leat_http_request *r, const char *wanted)
{
    for (size_t i = 0; i < r->n_headers; i++) {
        if (!leat_slice_is(r->headers[i].name, "sec-websocket-protocol"))
            continue;
        leat_slice rest = r->headers[i].value;
        leat_slice item;
        while (leat_http_list_next(&rest, &item)) {
            if (wanted == NULL || leat_slice_is(item, wanted))
                return true;
        }
    }
    return false;
}

bool leat_upgrade_offers(const leat_http_request *r, const char *subprotocol)
{
    return find_subprotocol(r, subprotocol);
}

static int refuse(const char **reason, int status, const char *sentence)
{
    *reason = sentence;
    return status;
}

int leat_upgrade_check(const leat_http_request *r, leat_upgrade *out, const char **reason)
{
    if (!leat_slice_is(r->method, "GET"))
        return refuse(reason, 405, "A WebSocket upgrade must be a GET request.");
    if (r->minor < 1)
        return refuse(reason, 400, "A WebSocket upgrade needs HTTP/1.1.");
    if (!leat_upgrade_wanted(r))
        return refuse(reason, 400, "The Upgrade header must be \"websocket\".");
    if (!r->upgrade)
        return refuse(reason, 400, "The Connection header must name \"Upgrade\".");
    if (r->has_body)
        return refuse(reason, 400, "A WebSocket upgrade must not have a body.");
    if (leat_http_count(r, "sec-websocket-version") > 1)
        return refuse(reason, 400, "There must be one Sec-WebSocket-Version header.");
    if (!leat_slice_is(leat_http_find(r, "sec-websocket-version"), "13"))
        return refuse(reason, 426, "The Sec-WebSocket-Version must be 13.");
    leat_slice key = leat_http_find(r, "sec-websocket-key");
    if (leat_http_count(r, "sec-websocket-key") != 1 || !key_ok(key))
        return refuse(reason, 400, "There must be one Sec-WebSocket-Key, of 16 bytes in base64.");
    *out = (leat_upgrade){.key = key};
    if (leat_deflate_read_offers(r, &out->deflate) == LEAT_DEFLATE_MALFORMED)
        return refuse(reason, 400, "A Sec-WebSocket-Extensions header is malformed.");
    out->offers_subprotocols = find_subprotocol(r, NULL);
    return 0;
}

leat_accept *leat_accept_new(void)
{
    leat_accept *a = leat_calloc(1, sizeof(*a));
    a->sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    a->context = EVP_MD_CTX_new();
    LEAT_ASSERT(a->sha1 != NULL && a->context != NULL);
    return a;
}

void leat_accept_free(leat_accept *a)
{
    if (a == NULL)
        return;
    EVP_MD_CTX_free(a->context);
    EVP_MD_free(a->sha1);
    free(a);
}

/* base64(SHA-1(key + the GUID of RFC 6455 §1.3)). */
static void write_accept_value(leat_buf *out, leat_accept *a, leat_slice key)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char digest[SHA1_LEN];
    unsigned int digest_len = 0;
    bool ok = EVP_DigestInit_ex2(a->context, a->sha1, NULL) == 1 &&
              EVP_DigestUpdate(a->context, key.at, key.len) == 1 &&
              EVP_DigestUpdate(a->context, guid, sizeof(guid) - 1) == 1 &&
              EVP_DigestFinal_ex(a->context, digest, &digest_len) == 1;
    LEAT_ASSERT(ok && digest_len == SHA1_LEN);
    leat_base64_write(out, LEAT_BASE64, (leat_slice){(const char *)digest, SHA1_LEN});
}

void leat_upgrade_write_accept(leat_buf *out, leat_accept *a, leat_slice key,
                               const char *subprotocol, const leat_deflate_terms *deflate)
{
    leat_buf_reserve(out, USUAL_BYTES);
    leat_buf_text(out, "HTTP/1.1 101 Switching Protocols\r\n"
                       "Upgrade: websocket\r\n"
                       "Connection: Upgrade\r\n"
                       "Sec-WebSocket-Accept: ");
    write_accept_value(out, a, key);
    leat_buf_text(out, "\r\n");
    if (subprotocol != NULL) {
        leat_buf_text(out, "Sec-WebSocket-Protocol: ");
        leat_buf_text(out, subprotocol);
        leat_buf_text(out, "\r\n");
    }
    if (deflate != NULL)
        leat_deflate_write_answer(out, deflate);
    leat_buf_text(out, "\r\n");
}
