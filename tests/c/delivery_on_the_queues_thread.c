/* A queue delivers on its own thread: one and the same for all streams, never the caller's, one callback at a time. */
#include "story.h"

#define STREAMS 6
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int running, known;
static pthread_t delivery;

static void on_event(void *tally, const apertis_event *event) {
    pthread_mutex_lock(&lock);
    CHECK_INT(running, 0);
    running = 1;
    if (!known) delivery = pthread_self();
    known = 1;
    CHECK(pthread_equal(delivery, pthread_self()));
    pthread_mutex_unlock(&lock);
    story_sleep_ms(2);
    pthread_mutex_lock(&lock);
    running = 0;
    pthread_mutex_unlock(&lock);
    story_tally_add((story_tally *)tally, event);
}

int main(void) {
    apertis_client *client;
    apertis_queue *queue;
    story_tally *tallies[STREAMS];
    apertis_stream *streams[STREAMS];
    int index;

    story_begin();
    client = story_client();
    queue = story_queue(APERTIS_DELIVER_THREAD);
    for (index = 0; index < STREAMS; index++) {
        apertis_request *request = story_request(story_format("say=this%%20is%%20number%%20%d;deltas=4;pace_ms=10", index), "Hello");
        apertis_error *error = NULL;
        tallies[index] = story_tally_new();
        CHECK_OK(apertis_client_start_on(client, request, queue, on_event, tallies[index], story_on_drop, &streams[index], &error), error);
        apertis_request_free(request);
    }
    for (index = 0; index < STREAMS; index++) {
        apertis_response *response = NULL;
        apertis_error *error = NULL;
        CHECK_OK(apertis_stream_wait(streams[index], -1, &response, &error), error);
        /* Waiting ends when END's callback has run. */
        pthread_mutex_lock(&tallies[index]->lock);
        CHECK_INT(tallies[index]->kinds[APERTIS_EVENT_END], 1);
        pthread_mutex_unlock(&tallies[index]->lock);
        CHECK_STATUS(tallies[index]->status, APERTIS_OK);
        CHECK_TEXT(apertis_response_text(response, NULL), story_format("this is number %d", index));
        CHECK_TEXT(tallies[index]->text, story_format("this is number %d", index));
        apertis_response_free(response);
        story_await_drop(tallies[index]);
        CHECK_INT(story_drops(tallies[index]), 1);
    }
    CHECK(!pthread_equal(delivery, pthread_self()));
    /* This queue's events are its callbacks' alone. */
    {
        const apertis_event *event = NULL;
        CHECK_STATUS(apertis_queue_next(queue, 0, &event), APERTIS_ERROR_INVALID_ARGUMENT);
        CHECK_STATUS(apertis_stream_next(streams[0], 0, &event), APERTIS_ERROR_INVALID_ARGUMENT);
        CHECK_STATUS(apertis_queue_pump(queue, 0), APERTIS_ERROR_INVALID_ARGUMENT);
    }
    for (index = 0; index < STREAMS; index++) {
        apertis_stream_free(streams[index]);
        story_tally_free(tallies[index]);
    }
    apertis_queue_free(queue);
    apertis_client_free(client);
    return story_end();
}
