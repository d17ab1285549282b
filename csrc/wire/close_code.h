/* close_code.h - the codes with which a WebSocket is closed: RFC 6455 §7.4.1, and ours.
 *
 * Ownership  none.
 * Threads    any.
 * Units      none.
 * Errors     none.
 */
#ifndef LEAT_WIRE_CLOSE_CODE_H
#define LEAT_WIRE_CLOSE_CODE_H

enum {
    LEAT_CLOSE_NORMAL = 1000,
    LEAT_CLOSE_GOING_AWAY = 1001,
    LEAT_CLOSE_PROTOCOL = 1002,
    LEAT_CLOSE_UNSUPPORTED = 1003,
    LEAT_CLOSE_NO_STATUS = 1005, /* told, never sent: the close frame has no code */
    LEAT_CLOSE_ABNORMAL = 1006,  /* told, never sent: there was no close frame */
    LEAT_CLOSE_BAD_DATA = 1007,
    LEAT_CLOSE_POLICY = 1008,
    LEAT_CLOSE_TOO_BIG = 1009,
    LEAT_CLOSE_INTERNAL = 1011,
    LEAT_CLOSE_TRY_LATER = 1013,
    LEAT_CLOSE_TOO_SLOW = 4008,
    LEAT_CLOSE_IDENTITY = 4401,
    LEAT_CLOSE_DEADLINE = 4408,
    LEAT_CLOSE_EXPIRED = 4411, /* an identity that may be renewed; leat.v1 sends 4401 */
    LEAT_CLOSE_TOO_MANY = 4429,
};

#endif
