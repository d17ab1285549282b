#include "wire/codec.h"

leat_event *leat_codec_frame_event(const leat_event *e, leat_frame_op op, leat_slice payload)
{
    size_t header = leat_frame_header_len(payload.len);
    leat_event *made = leat_event_new(leat_event_kind_of(e), (leat_slice){NULL, 0},
                                      leat_event_seq(e), header + payload.len, header, header, 0);
    char *room = leat_event_frame_room(made);
    (void)leat_frame_write_header(room, op, payload.len);
    memcpy(room + header, payload.at, payload.len);
    return made;
}
