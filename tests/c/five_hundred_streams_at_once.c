/* Five hundred answers arrive at once on one client, and the library needs two threads for them. */
#include "story.h"

#define STREAMS 500

int main(void) {
    apertis_client *client;
    apertis_queue *queue;
    apertis_stream *streams[STREAMS];
    story_tally *tallies[STREAMS];
    int index, ended = 0, threads, most = 0, words = 0;
    int64_t began;

    story_begin();
    story_http_get("/_reset");
    threads = story_thread_count();
    client = story_client();
    queue = story_queue(APERTIS_DELIVER_PULL);
    began = story_ms();
    for (index = 0; index < STREAMS; index++) {
        apertis_request *request = story_request(story_format("say=number%%20%d%%20speaks%%20to%%20you;deltas=5;pace_ms=400", index), "Hello");
        apertis_error *error = NULL;
        tallies[index] = story_tally_new();
        CHECK_OK(apertis_client_start_on(client, request, queue, NULL, tallies[index], story_on_drop, &streams[index], &error), error);
        apertis_request_free(request);
    }
    while (ended < STREAMS) {
        const apertis_event *event = NULL;
        story_tally *tally;
        int now;
        CHECK_STATUS(apertis_queue_next(queue, 20000, &event), APERTIS_OK);
        tally = (story_tally *)apertis_event_user_data(event);
        words += apertis_event_kind_of(event) == APERTIS_EVENT_TEXT;
        ended += apertis_event_kind_of(event) == APERTIS_EVENT_END;
        story_tally_add(tally, event);
        if (words % 50 == 0 && (now = story_thread_count()) > most) most = now;
    }
    if (most > threads + 3) story_fail(__FILE__, __LINE__, "%d threads more than before", most - threads);   /* two, and one for name look-up */
    CHECK(story_ms() - began < 30000);                          /* one after the other they would take a quarter of an hour */
    CHECK(story_stat("max_in_flight") > STREAMS * 9 / 10);
    for (index = 0; index < STREAMS; index++) {
        CHECK_STATUS(tallies[index]->status, APERTIS_OK);
        CHECK_TEXT(tallies[index]->text, story_format("number %d speaks to you", index));
        apertis_stream_free(streams[index]);
    }
    apertis_queue_free(queue);
    for (index = 0; index < STREAMS; index++) {
        CHECK_INT(story_drops(tallies[index]), 1);
        story_tally_free(tallies[index]);
    }
    apertis_client_free(client);
    CHECK_INT(story_sent_count(), STREAMS);
    return story_end();
}
