/* Two ways to tell whose event it is: the caller's own pointer, and the stream's ticket. */
#include "story.h"

#define STREAMS 5
static apertis_stream *streams[STREAMS];
static story_tally *tallies[STREAMS];
static int matched;

static void check(const apertis_event *event) {
    story_tally *tally = (story_tally *)apertis_event_user_data(event);
    int index;
    for (index = 0; index < STREAMS; index++)
        if (apertis_event_stream(event) == streams[index]) {
            CHECK(tally == tallies[index]);
            matched++;
        }
}

static void on_event(void *user_data, const apertis_event *event) {
    CHECK(apertis_event_user_data(event) == user_data);
    check(event);
    story_tally_add((story_tally *)user_data, event);
}

static void start_all(apertis_client *client, apertis_queue *queue, apertis_event_fn callback) {
    int index;
    matched = 0;
    for (index = 0; index < STREAMS; index++) {
        apertis_request *request = story_request(story_format("say=I%%20am%%20%d;pace_ms=5", index), "Hello");
        apertis_error *error = NULL;
        tallies[index] = story_tally_new();
        CHECK_OK(apertis_client_start_on(client, request, queue, callback, tallies[index], NULL, &streams[index], &error), error);
        apertis_request_free(request);
    }
}

static void free_all(void) {
    int index;
    CHECK(matched >= STREAMS * 3);
    for (index = 0; index < STREAMS; index++) {
        CHECK_TEXT(tallies[index]->text, story_format("I am %d", index));
        apertis_stream_free(streams[index]);
        story_tally_free(tallies[index]);
        streams[index] = NULL;
    }
}

int main(void) {
    apertis_client *client;
    apertis_queue *queue;
    const apertis_event *event = NULL;
    int ended = 0;

    story_begin();
    client = story_client();

    queue = story_queue(APERTIS_DELIVER_PULL);
    start_all(client, queue, NULL);
    while (ended < STREAMS) {
        CHECK_STATUS(apertis_queue_next(queue, -1, &event), APERTIS_OK);
        check(event);
        story_tally_add((story_tally *)apertis_event_user_data(event), event);
        ended += apertis_event_kind_of(event) == APERTIS_EVENT_END;
    }
    free_all();

    /* One stream's events only, out of a shared queue; the others' stay for the others. */
    start_all(client, queue, NULL);
    while (apertis_stream_next(streams[3], -1, &event) == APERTIS_OK) {
        CHECK(apertis_event_user_data(event) == tallies[3]);
        check(event);
        story_tally_add(tallies[3], event);
    }
    CHECK_INT(tallies[3]->kinds[APERTIS_EVENT_END], 1);
    for (ended = 1; ended < STREAMS;) {
        CHECK_STATUS(apertis_queue_next(queue, -1, &event), APERTIS_OK);
        check(event);
        story_tally_add((story_tally *)apertis_event_user_data(event), event);
        ended += apertis_event_kind_of(event) == APERTIS_EVENT_END;
    }
    free_all();
    apertis_queue_free(queue);

    queue = story_queue(APERTIS_DELIVER_PUMP);
    start_all(client, queue, on_event);
    for (ended = 0; ended < STREAMS;) {
        int index;
        CHECK(apertis_queue_pump(queue, 0) >= 0);
        for (ended = 0, index = 0; index < STREAMS; index++) ended += tallies[index]->kinds[APERTIS_EVENT_END];
        story_sleep_ms(2);
    }
    free_all();

    /* Nobody keeps the stream: the event knows it, and through it one can cancel. */
    {
        apertis_request *request = story_request("say=word%20;repeat=1000;deltas=1000;pace_ms=20", "Hello");
        story_tally *tally = story_tally_new();
        apertis_queue *pull = story_queue(APERTIS_DELIVER_PULL);
        CHECK_STATUS(apertis_client_start_on(client, request, pull, NULL, tally, NULL, NULL, NULL), APERTIS_OK);
        do {
            CHECK_STATUS(apertis_queue_next(pull, -1, &event), APERTIS_OK);
            CHECK(apertis_event_stream(event) != NULL);
            story_tally_add(tally, event);
            if (apertis_event_kind_of(event) == APERTIS_EVENT_TEXT) apertis_stream_cancel(apertis_event_stream(event));
        } while (apertis_event_kind_of(event) != APERTIS_EVENT_END);
        CHECK_STATUS(tally->status, APERTIS_ERROR_CANCELLED);
        apertis_queue_free(pull);
        apertis_request_free(request);
        story_tally_free(tally);
    }
    apertis_queue_free(queue);
    apertis_client_free(client);
    return story_end();
}
