/* question_history.c - `history`: the figures of the last minute and the last hour. */
#include "control/ask.h"

static int write_history(leat_ask *ask, leat_buf *json)
{
    const leat_samples *h = ask->inside->samples;
    if (h == NULL) {
        leat_buf_text(json, ",\"code\":\"not_found\",\"message\":\"no history is kept: "
                            "console_listen is not set\"");
        return 404;
    }
    leat_buf_printf(json,
                    ",\"minute_step_ms\":%d,\"hour_step_ms\":%d,\"fields\":", LEAT_SAMPLES_STEP_MS,
                    LEAT_SAMPLES_STEP_MS * LEAT_SAMPLES_LONG_STEPS);
    leat_samples_write_fields(json);
    leat_buf_text(json, ",\"minute\":");
    leat_samples_write_minute(h, json);
    leat_buf_text(json, ",\"hour\":");
    leat_samples_write_hour(h, json);
    return 200;
}

const leat_ask_kind leat_ask_history = {
    .method = "GET",
    .name = "history",
    .only = LEAT_LOOK_ALL,
    .write = write_history,
};
