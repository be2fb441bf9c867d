/* A game pumps once a frame: callbacks run inside the pump, on its thread, and at no other time. */
#include "story.h"

static int inside_the_pump;
static int callbacks;
static pthread_t caller;

static void on_event(void *tally, const apertis_event *event) {
    CHECK(inside_the_pump);
    CHECK(pthread_equal(pthread_self(), caller));
    callbacks++;
    story_tally_add((story_tally *)tally, event);
}

int main(void) {
    apertis_client *client;
    apertis_queue *queue;
    story_tally *tallies[3];
    apertis_stream *streams[3];
    int64_t longest = 0;
    int32_t pumped = 0;
    int index, ended = 0, frames = 0;

    story_begin();
    caller = pthread_self();
    client = story_client();
    queue = story_queue(APERTIS_DELIVER_PUMP);
    CHECK_INT(apertis_queue_pump(queue, 0), 0);
    for (index = 0; index < 3; index++) {
        apertis_request *request = story_request("say=a%20line%20of%20a%20dialogue;deltas=5;pace_ms=30", "Hello");
        apertis_error *error = NULL;
        tallies[index] = story_tally_new();
        CHECK_OK(apertis_client_start_on(client, request, queue, on_event, tallies[index], story_on_drop, &streams[index], &error), error);
        apertis_request_free(request);
    }
    while (ended < 3) {
        int64_t before = story_ms();
        int32_t ran;
        inside_the_pump = 1;
        ran = apertis_queue_pump(queue, 2000);
        inside_the_pump = 0;
        CHECK(ran >= 0);
        pumped += ran;
        if (story_ms() - before > longest) longest = story_ms() - before;
        for (ended = 0, index = 0; index < 3; index++) ended += tallies[index]->kinds[APERTIS_EVENT_END];
        frames++;
        story_sleep_ms(10);
    }
    CHECK(frames > 5);                  /* the streams took 150 ms: no pump waited for them */
    CHECK(longest < 100);
    CHECK_INT(pumped, callbacks);
    CHECK_INT(apertis_queue_pump(queue, 0), 0);
    for (index = 0; index < 3; index++) {
        CHECK_STATUS(tallies[index]->status, APERTIS_OK);
        CHECK_TEXT(tallies[index]->text, "a line of a dialogue");
        CHECK(tallies[index]->kinds[APERTIS_EVENT_TEXT] >= 2);
        CHECK_INT(story_drops(tallies[index]), 1);
        apertis_stream_free(streams[index]);
    }
    /* One pump with no budget takes all that waits. */
    {
        story_tally *tally = story_tally_new();
        apertis_request *request = story_request("say=x", "Hello");
        apertis_error *error = NULL;
        apertis_response *response = NULL;
        apertis_stream *stream = NULL;
        CHECK_OK(apertis_client_start_on(client, request, queue, on_event, tally, NULL, &stream, &error), error);
        story_sleep_ms(500);
        CHECK_INT(tally->kinds[APERTIS_EVENT_STARTED], 0);
        inside_the_pump = 1;
        CHECK_INT(apertis_queue_pump(queue, 0), 3);             /* STARTED, TEXT, END */
        inside_the_pump = 0;
        CHECK_INT(tally->kinds[APERTIS_EVENT_END], 1);
        CHECK_OK(apertis_stream_wait(stream, -1, &response, &error), error);
        CHECK_TEXT(apertis_response_text(response, NULL), "x");
        apertis_response_free(response);
        apertis_stream_free(stream);
        apertis_request_free(request);
        story_tally_free(tally);
    }
    apertis_queue_free(queue);
    for (index = 0; index < 3; index++) story_tally_free(tallies[index]);
    apertis_client_free(client);
    return story_end();
}
