#include "wire/sse.h"

#include "wire/http.h"
#include "wire/json.h"
#include "wire/leat_v1.h"

void leat_sse_write_head(leat_buf *out, leat_slice lines)
{
    leat_http_write_status(out, 200);
    /* Without a length the body lasts until the connection ends, so it must. nginx buffers what
     * does not ask it not to. */
    leat_buf_text(out, "Content-Type: text/event-stream\r\n"
                       "Cache-Control: no-cache, no-store\r\n"
                       "X-Accel-Buffering: no\r\n"
                       "Connection: close\r\n");
    leat_buf_slice(out, lines);
    leat_buf_text(out, "\r\n");
}

void leat_sse_write_prefix(leat_buf *out, const char *op, leat_slice epoch, int64_t seq)
{
    leat_buf_text(out, "event: ");
    leat_buf_text(out, op);
    if (epoch.at != NULL) {
        leat_buf_text(out, "\nid: ");
        leat_buf_slice(out, epoch);
        leat_buf_char(out, ':');
        leat_buf_int(out, seq);
    }
    leat_buf_text(out, "\ndata: ");
}

bool leat_sse_parse_id(leat_slice id, leat_slice *epoch, int64_t *seq)
{
    const char *colon = id.len == 0 ? NULL : memrchr(id.at, ':', id.len);
    if (colon == NULL || colon == id.at)
        return false;
    size_t epoch_len = (size_t)(colon - id.at);
    leat_slice digits = {colon + 1, id.len - epoch_len - 1};
    int64_t n = 0;
    if (!leat_json_int(digits, &n) || n < 0 || n > LEAT_SEQ_MAX)
        return false;
    *epoch = (leat_slice){id.at, epoch_len};
    *seq = n;
    return true;
}
