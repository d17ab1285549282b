/* Any bytes as a notification's payload. What is read from it lies in it, an entry has a number and
 * a topic, and nothing is sealed but by chance. */
#include "fuzz.h"

#include "wire/announcement.h"
#include "wire/leat_v1.h"

static void check_inside(leat_slice field, leat_slice payload)
{
    CHECK(field.at >= payload.at && field.at + field.len <= payload.at + payload.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static leat_announcement_seal *seal;
    leat_slice payload = {(const char *)data, size};
    leat_announcement a;
    if (seal == NULL) {
        static const char key[LEAT_ANNOUNCEMENT_KEY_LEN] = "not known to the fuzzer";
        seal = leat_announcement_seal_new();
        CHECK(leat_announcement_seal_key(seal, (leat_slice){key, sizeof(key)}) == 1);
    }
    CHECK(!leat_announcement_is_sealed(seal, payload, 1));
    if (leat_announcement_parse(&a, payload) < 0)
        return 0;
    check_inside(a.mac, payload);
    check_inside(a.epoch, payload);
    check_inside(a.topic, payload);
    CHECK(a.mac.len == LEAT_ANNOUNCEMENT_MAC_LEN);
    CHECK(a.seq >= 0 && a.seq <= LEAT_SEQ_MAX && a.at >= 0);
    CHECK(a.kind == LEAT_ANNOUNCE_HISTORY || leat_v1_topic_ok(a.topic));
    CHECK((a.kind == LEAT_ANNOUNCE_CONFLATING) == (a.key.at != NULL));
    if (a.key.at != NULL)
        check_inside(a.key, payload);
    if (a.data.at != NULL)
        check_inside(a.data, payload);
    return 0;
}
