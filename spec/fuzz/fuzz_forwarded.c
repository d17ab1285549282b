/* What proxies say: X-Forwarded-For, Forwarded and their kin, as header values with a line each;
 * and the addresses in them. What a proxy added at the end must be read whatever the client wrote
 * before it. */
#include "fuzz.h"

#include <string.h>

#include "net/ip.h"
#include "wire/forwarded.h"

static const char *const names[] = {"x-forwarded-for", "forwarded", "x-forwarded-host",
                                    "x-forwarded-proto", "via"};

enum { MAX_HEADERS = 8 };

static void check_address(leat_slice text)
{
    leat_ip ip;
    leat_ip again;
    char out[LEAT_IP_TEXT];
    if (leat_ip_parse(&ip, text) < 0)
        return;
    leat_ip_format(&ip, out);
    CHECK(leat_ip_parse(&again, leat_slice_of(out)) == 0 && leat_ip_equal(&ip, &again));
}

static void check_request(const leat_http_request *r, leat_slice all)
{
    leat_slice hops[LEAT_FORWARDED_HOPS];
    size_t n = leat_forwarded_hops(r, hops);
    CHECK(n <= LEAT_FORWARDED_HOPS);
    for (size_t i = 0; i < n; i++) {
        CHECK(hops[i].len == 0 || (hops[i].at >= all.at && hops[i].len <= all.len));
        check_address(hops[i]);
    }
    leat_slice host = leat_forwarded_host(r);
    CHECK(host.len <= all.len);
    CHECK(n == 0 || leat_forwarded_any(r));
}

/* The client's own X-Forwarded-For, with what its proxy appends to it. */
static void check_appended(leat_slice client)
{
    leat_buf line = LEAT_BUF_INIT;
    leat_slice hops[LEAT_FORWARDED_HOPS];
    leat_buf_slice(&line, client);
    leat_buf_text(&line, ", 203.0.113.7");
    leat_http_header header = {leat_slice_of("x-forwarded-for"), leat_buf_view(&line)};
    leat_http_request r = {.headers = &header, .n_headers = 1};
    CHECK(leat_forwarded_hops(&r, hops) > 0 && leat_slice_is(hops[0], "203.0.113.7"));
    leat_buf_close(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size > 0 ? size : 1);
    memcpy(copy, data, size);
    leat_slice rest = {copy, size};
    leat_http_header headers[MAX_HEADERS];
    size_t n = 0;
    while (rest.len > 1 && n < MAX_HEADERS) {
        size_t name = (unsigned char)rest.at[0] % (sizeof(names) / sizeof(names[0]));
        const char *end = memchr(rest.at + 1, '\n', rest.len - 1);
        size_t len = end == NULL ? rest.len - 1 : (size_t)(end - rest.at) - 1;
        headers[n++] = (leat_http_header){leat_slice_of(names[name]), {rest.at + 1, len}};
        size_t used = len + 1 + (end != NULL);
        rest = (leat_slice){rest.at + used, rest.len - used};
    }
    leat_http_request r = {.headers = headers, .n_headers = n};
    check_request(&r, (leat_slice){copy, size});
    check_appended((leat_slice){copy, size});
    check_address((leat_slice){copy, size});
    leat_networks networks;
    char *text = strndup(copy, size);
    if (leat_networks_parse(&networks, text) == 0)
        leat_networks_close(&networks);
    free(text);
    free(copy);
    return 0;
}
