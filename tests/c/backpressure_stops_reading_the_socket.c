/* A reader dozes while 64 MiB are on their way: the library stops reading, memory stays small, and in the end all is there. */
#include "story.h"

#define PIECES 65536
#ifdef __SANITIZE_ADDRESS__
#define MOST_KIB (512 * 1024)           /* freed memory stays in quarantine */
#else
#define MOST_KIB (32 * 1024)
#endif
static char piece[1025];

int main(void) {
    apertis_client *client;
    apertis_stream *stream;
    const apertis_event *event = NULL;
    size_t taken = 0, length, index;
    long before, dozing;
    int ended = 0, round;
    int32_t kind;

    story_begin();
    for (index = 0; index < 1024; index++) piece[index] = (char)('a' + index % 26);
    client = story_client();
    apertis_response_free(story_chat(client, "say=warm%20up"));
    before = story_rss_kib();
    stream = story_start(client, story_format("say=%s;repeat=%d;deltas=%d", piece, PIECES, PIECES));
    CHECK_STATUS(apertis_stream_next(stream, -1, &event), APERTIS_OK);
    for (round = 0; round < 5; round++) {
        story_sleep_ms(400);
        dozing = story_rss_kib() - before;
        if (dozing > MOST_KIB) story_fail(__FILE__, __LINE__, "nobody reads, and memory grew by %ld KiB", dozing);
        CHECK_INT(story_stat("in_flight"), 1);                  /* the gateway could not get rid of its answer */
    }
    while (!ended) {
        CHECK_STATUS(apertis_stream_next(stream, 30000, &event), APERTIS_OK);
        kind = apertis_event_kind_of(event);
        if (kind == APERTIS_EVENT_TEXT) {
            const char *text = apertis_event_text(event, &length);
            CHECK(length <= 16u * 1024 * 1024);
            for (index = 0; index < length; index++)            /* in order, nothing lost, nothing twice */
                if (text[index] != piece[(taken + index) % 1024]) story_fail(__FILE__, __LINE__, "wrong byte at %lu", (unsigned long)(taken + index));
            taken += length;
        }
        if (kind == APERTIS_EVENT_END) {
            const char *text = apertis_response_text(apertis_event_response(event), &length);
            CHECK(apertis_event_error(event) == NULL);
            CHECK_INT(length, 1024LL * PIECES);
            CHECK(memcmp(text + length - 1024, piece, 1024) == 0);
            CHECK_INT(apertis_response_finish(apertis_event_response(event)), APERTIS_FINISH_STOP);
            ended = 1;
        }
    }
    CHECK_INT(taken, 1024LL * PIECES);
    apertis_stream_free(stream);

    /* A stream that stands still for its reader is cancelled all the same. */
    stream = story_start(client, story_format("say=%s;repeat=%d;deltas=%d", piece, PIECES, PIECES));
    CHECK_STATUS(apertis_stream_next(stream, -1, &event), APERTIS_OK);
    story_sleep_ms(300);
    apertis_stream_free(stream);
    CHECK_SOON(story_stat("in_flight") == 0);
    apertis_client_free(client);
    return story_end();
}
