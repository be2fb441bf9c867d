/* An event loop sleeps in poll(2) on the queue's handle and serves sixteen streams from one thread. */
#include "story.h"

#define STREAMS 16

int main(void) {
    apertis_client *client;
    apertis_queue *queue;
    apertis_stream *streams[STREAMS];
    story_tally *tallies[STREAMS];
    struct pollfd poll_for;
    int index, ended = 0, empty_wakeups = 0, wakeups = 0;

    story_begin();
    client = story_client();
    queue = story_queue(APERTIS_DELIVER_PULL);
    poll_for.fd = (int)apertis_queue_handle(queue);
    poll_for.events = POLLIN;
    CHECK(poll_for.fd >= 0);
    CHECK_INT(poll(&poll_for, 1, 0), 0);                        /* nothing waits yet */
    for (index = 0; index < STREAMS; index++) {
        apertis_request *request = story_request(story_format("say=stream%%20%d%%20speaks;deltas=4;pace_ms=20", index), "Hello");
        apertis_error *error = NULL;
        tallies[index] = story_tally_new();
        CHECK_OK(apertis_client_start_on(client, request, queue, NULL, tallies[index], NULL, &streams[index], &error), error);
        apertis_request_free(request);
    }
    while (ended < STREAMS) {
        const apertis_event *event = NULL;
        int32_t status;
        int taken = 0;
        poll_for.revents = 0;
        CHECK_INT(poll(&poll_for, 1, 20000), 1);
        CHECK(poll_for.revents & POLLIN);
        wakeups++;
        while ((status = apertis_queue_next(queue, 0, &event)) == APERTIS_OK) {
            story_tally *tally = (story_tally *)apertis_event_user_data(event);
            taken++;
            ended += apertis_event_kind_of(event) == APERTIS_EVENT_END;
            for (index = 0; index < STREAMS && tallies[index] != tally; index++) continue;
            CHECK(index < STREAMS && apertis_event_stream(event) == streams[index]);
            story_tally_add(tally, event);
        }
        CHECK_STATUS(status, APERTIS_TIMEOUT);
        CHECK(event == NULL);
        empty_wakeups += taken == 0;
    }
    CHECK_INT(poll(&poll_for, 1, 50), 0);                       /* drained: quiet */
    CHECK(wakeups > 3);
    CHECK(empty_wakeups <= 2 + wakeups / 4);                    /* readable means that something waits */
    for (index = 0; index < STREAMS; index++) {
        CHECK_STATUS(tallies[index]->status, APERTIS_OK);
        CHECK_TEXT(tallies[index]->text, story_format("stream %d speaks", index));
        apertis_stream_free(streams[index]);
        story_tally_free(tallies[index]);
    }
    /* Readable for as long as something waits, however often one looks. */
    streams[0] = story_start(client, "say=private");            /* a private stream does not touch the queue */
    {
        apertis_request *request = story_request("say=once%20more", "Hello");
        const apertis_event *event = NULL;
        CHECK_STATUS(apertis_client_start_on(client, request, queue, NULL, NULL, NULL, &streams[1], NULL), APERTIS_OK);
        CHECK_INT(poll(&poll_for, 1, 20000), 1);
        CHECK_INT(poll(&poll_for, 1, 0), 1);
        do {
            CHECK_INT(poll(&poll_for, 1, 20000), 1);
            CHECK_STATUS(apertis_queue_next(queue, 0, &event), APERTIS_OK);
            CHECK(apertis_event_stream(event) == streams[1]);
        } while (apertis_event_kind_of(event) != APERTIS_EVENT_END);
        apertis_request_free(request);
    }
    apertis_stream_free(streams[0]);
    apertis_stream_free(streams[1]);
    apertis_queue_free(queue);
    apertis_client_free(client);
    return story_end();
}
