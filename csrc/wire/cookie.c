/* cookie.c - the text is cut at its last two dots. The signature is checked before anything else is
 * believed. */
#include "wire/cookie.h"

#include "wire/crypto.h"
#include "wire/json.h"

#define PURPOSE "leat.cookie.v1\n"

const char *leat_cookie_result_name(leat_cookie_result result)
{
    switch (result) {
    case LEAT_COOKIE_OK:
        return "ok";
    case LEAT_COOKIE_MALFORMED:
        return "malformed";
    case LEAT_COOKIE_SIGNATURE:
        return "signature";
    case LEAT_COOKIE_EXPIRED:
        return "expired";
    }
    return "";
}

static bool is_value(leat_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == ',' || c == ';' || c == '\\')
            return false;
    }
    return text.len > 0;
}

static bool is_name(leat_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.at[i] < ' ' || text.at[i] == 0x7f)
            return false;
    return true;
}

/* Appends the signature of VALUE.EXPIRES. */
static void write_signature(leat_buf *out, leat_slice secret, leat_slice name, leat_slice body)
{
    leat_buf text = LEAT_BUF_INIT;
    leat_buf mac = LEAT_BUF_INIT;
    leat_buf_text(&text, PURPOSE);
    leat_buf_slice(&text, name);
    leat_buf_char(&text, '\n');
    leat_buf_slice(&text, body);
    leat_crypto_hmac(&mac, LEAT_HASH_SHA256, secret, leat_buf_view(&text));
    leat_base64_write(out, LEAT_BASE64_URL, leat_buf_view(&mac));
    leat_buf_close(&text);
    leat_buf_close(&mac);
}

int leat_cookie_sign(leat_buf *out, leat_slice secret, leat_slice name, leat_slice value,
                     int64_t expires_at)
{
    size_t before = out->len;
    if (!is_value(value) || !is_name(name) || expires_at < 0 || value.len > LEAT_COOKIE_MAX_BYTES)
        return LEAT_EBADMSG;
    leat_buf_slice(out, value);
    leat_buf_char(out, '.');
    leat_buf_int(out, expires_at);
    leat_buf signature = LEAT_BUF_INIT;
    write_signature(&signature, secret, name, (leat_slice){out->at + before, out->len - before});
    leat_buf_char(out, '.');
    leat_buf_slice(out, leat_buf_view(&signature));
    leat_buf_close(&signature);
    if (out->len - before <= LEAT_COOKIE_MAX_BYTES)
        return 0;
    out->len = before;
    return LEAT_EBADMSG;
}

/* Cuts what stands behind the last dot off *text. Returns false if there is no dot. */
static bool cut_last(leat_slice *text, leat_slice *tail)
{
    const char *dot = text->len == 0 ? NULL : memrchr(text->at, '.', text->len);
    if (dot == NULL)
        return false;
    size_t head = (size_t)(dot - text->at);
    *tail = (leat_slice){dot + 1, text->len - head - 1};
    text->len = head;
    return true;
}

static bool is_signed(const leat_cookie_check *check, leat_slice body, leat_slice signature)
{
    bool found = false;
    for (size_t i = 0; i < check->n_secrets; i++) {
        leat_buf expected = LEAT_BUF_INIT;
        write_signature(&expected, check->secrets[i], check->name, body);
        found = leat_crypto_equal(leat_buf_view(&expected), signature) || found;
        leat_buf_close(&expected);
    }
    return found;
}

leat_cookie_result leat_cookie_verify(leat_slice text, const leat_cookie_check *check,
                                      leat_slice *value, int64_t *expires_at)
{
    leat_slice signature;
    leat_slice expires;
    int64_t until = 0;
    if (text.len > LEAT_COOKIE_MAX_BYTES || !cut_last(&text, &signature))
        return LEAT_COOKIE_MALFORMED;
    leat_slice body = text;
    if (!cut_last(&text, &expires) || !is_value(text) || !leat_json_int(expires, &until) ||
        until < 0)
        return LEAT_COOKIE_MALFORMED;
    if (!is_signed(check, body, signature))
        return LEAT_COOKIE_SIGNATURE;
    if (until > 0 && check->now >= until)
        return LEAT_COOKIE_EXPIRED;
    *value = text;
    *expires_at = until;
    return LEAT_COOKIE_OK;
}
