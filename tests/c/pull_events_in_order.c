/* A program pulls a stream's events: STARTED, the words as they come, END; and then nothing more. */
#include "story.h"

int main(void) {
    apertis_client *client;
    apertis_stream *stream;
    const apertis_event *event = NULL;
    story_tally *tally;
    int64_t began;
    int32_t status;

    story_begin();
    client = story_client();
    tally = story_tally_new();
    began = story_ms();
    stream = story_start(client, "say=one%20two%20three%20four%20five;deltas=5;pace_ms=300");
    CHECK(story_ms() - began < 1200);                            /* starting does not wait for the answer */

    while ((status = apertis_stream_next(stream, 10, &event)) != APERTIS_DONE) {
        if (status == APERTIS_TIMEOUT) {
            CHECK(event == NULL);
            continue;
        }
        CHECK_STATUS(status, APERTIS_OK);
        if (apertis_event_kind_of(event) == APERTIS_EVENT_STARTED) CHECK(apertis_event_text(event, NULL) == NULL);
        if (apertis_event_kind_of(event) != APERTIS_EVENT_END) CHECK(apertis_event_response(event) == NULL);
        CHECK(apertis_event_stream(event) == stream);
        CHECK(apertis_event_user_data(event) == NULL);
        story_tally_add(tally, event);
    }
    CHECK(event == NULL);
    CHECK_STATUS(tally->status, APERTIS_OK);
    CHECK_INT(tally->kinds[APERTIS_EVENT_STARTED], 1);
    CHECK_INT(tally->kinds[APERTIS_EVENT_END], 1);
    CHECK(tally->kinds[APERTIS_EVENT_TEXT] >= 3);               /* as they arrive, not all at the end */
    CHECK_TEXT(tally->text, "one two three four five");
    CHECK_TEXT(tally->part, "one two three four five");
    CHECK_INT(tally->finish, APERTIS_FINISH_STOP);
    CHECK_STATUS(apertis_stream_next(stream, -1, &event), APERTIS_DONE);
    CHECK(event == NULL);
    apertis_stream_free(stream);

    CHECK_INT(story_sent_count(), 1);
    CHECK_TEXT(story_sent(0, "stream"), "true");
    CHECK_TEXT(story_sent(0, "stream_options/include_usage"), "true");

    /* Waiting takes what is left, after one event was pulled. */
    stream = story_start(client, "say=a%20b%20c;deltas=3;pace_ms=20");
    CHECK_STATUS(apertis_stream_next(stream, -1, &event), APERTIS_OK);
    CHECK_INT(apertis_event_kind_of(event), APERTIS_EVENT_STARTED);
    {
        apertis_response *response = NULL;
        apertis_error *error = NULL;
        CHECK_STATUS(apertis_stream_wait(stream, 0, &response, &error), APERTIS_TIMEOUT);
        CHECK(response == NULL);
        apertis_error_free(error);
        error = NULL;
        CHECK_OK(apertis_stream_wait(stream, -1, &response, &error), error);
        CHECK_TEXT(apertis_response_text(response, NULL), "a b c");
        CHECK(apertis_response_timing_us(response, APERTIS_TIMING_FIRST_DELTA) > 0);
        CHECK(apertis_response_timing_us(response, APERTIS_TIMING_FIRST_DELTA) < apertis_response_timing_us(response, APERTIS_TIMING_TOTAL));
        apertis_response_free(response);
    }
    apertis_stream_free(stream);
    story_tally_free(tally);
    apertis_client_free(client);
    return story_end();
}
