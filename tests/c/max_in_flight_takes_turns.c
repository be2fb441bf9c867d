/* Eight requests and two places: they take turns, all are served, and each knows how long it waited. */
#include "story.h"

#define STREAMS 8

int main(void) {
    apertis_config *config;
    apertis_client *client;
    apertis_stream *streams[STREAMS];
    int index, waited = 0;
    int64_t began;

    story_begin();
    story_http_get("/_reset");
    config = story_config();
    CHECK_STATUS(apertis_config_set_max_in_flight(config, 2), APERTIS_OK);
    client = story_client_of(config);
    began = story_ms();
    for (index = 0; index < STREAMS; index++) streams[index] = story_start(client, "say=one%20after%20another;deltas=3;pace_ms=150");
    CHECK(story_ms() - began < 1200);                           /* starting does not wait for a place */
    for (index = 0; index < STREAMS; index++) {
        apertis_response *response = NULL;
        apertis_error *error = NULL;
        CHECK_OK(apertis_stream_wait(streams[index], -1, &response, &error), error);
        CHECK_TEXT(apertis_response_text(response, NULL), "one after another");
        waited += apertis_response_timing_us(response, APERTIS_TIMING_QUEUED) > 50000;
        CHECK(apertis_response_timing_us(response, APERTIS_TIMING_QUEUED) <= apertis_response_timing_us(response, APERTIS_TIMING_HEADERS));
        apertis_response_free(response);
        apertis_stream_free(streams[index]);
    }
    CHECK_INT(story_stat("max_in_flight"), 2);
    CHECK(waited >= STREAMS - 3);
    CHECK_INT(story_sent_count(), STREAMS);

    /* One that is cancelled in line does not hold up the others, and never went out. */
    story_next_key();
    for (index = 0; index < 4; index++) streams[index] = story_start(client, "say=one%20after%20another;deltas=3;pace_ms=60");
    apertis_stream_cancel(streams[2]);
    CHECK_STATUS(apertis_stream_wait(streams[2], 1000, NULL, NULL), APERTIS_ERROR_CANCELLED);
    CHECK_STATUS(apertis_stream_wait(streams[3], -1, NULL, NULL), APERTIS_OK);
    for (index = 0; index < 4; index++) apertis_stream_free(streams[index]);
    CHECK_INT(story_sent_count(), 3);
    apertis_client_free(client);
    return story_end();
}
