/* A callback has read enough and cancels its own stream, thrice: one END comes, and it says CANCELLED. */
#include "story.h"

static void on_event(void *tally, const apertis_event *event) {
    int times;
    story_tally_add((story_tally *)tally, event);
    if (apertis_event_kind_of(event) != APERTIS_EVENT_TEXT) return;
    for (times = 0; times < 3; times++) apertis_stream_cancel(apertis_event_stream(event));
    CHECK(apertis_event_text(event, NULL) != NULL);             /* the event is still lent */
}

static void check(story_tally *tally) {
    CHECK_INT(tally->kinds[APERTIS_EVENT_END], 1);
    CHECK_STATUS(tally->status, APERTIS_ERROR_CANCELLED);
    CHECK_INT(tally->finish, APERTIS_FINISH_INTERRUPTED);
    CHECK(strlen(tally->part) > 0 && strlen(tally->part) < 1000);
    CHECK(strncmp(tally->part, tally->text, strlen(tally->text)) == 0);
}

#define LONG "say=word%20;repeat=1000;deltas=1000;pace_ms=20"

int main(void) {
    apertis_client *client;
    apertis_queue *queue;
    apertis_stream *stream = NULL;
    apertis_response *response = NULL;
    apertis_error *error = NULL;
    apertis_request *request;
    story_tally *tally;

    story_begin();
    client = story_client();
    request = story_request(LONG, "Hello");

    queue = story_queue(APERTIS_DELIVER_THREAD);
    tally = story_tally_new();
    CHECK_OK(apertis_client_start_on(client, request, queue, on_event, tally, story_on_drop, &stream, &error), error);
    story_await(tally, APERTIS_EVENT_END, 1);
    story_await_drop(tally);
    story_sleep_ms(100);
    check(tally);
    CHECK_INT(story_drops(tally), 1);
    apertis_stream_free(stream);
    apertis_queue_free(queue);
    story_tally_free(tally);

    queue = story_queue(APERTIS_DELIVER_PUMP);
    tally = story_tally_new();
    CHECK_OK(apertis_client_start_on(client, request, queue, on_event, tally, story_on_drop, &stream, &error), error);
    while (story_drops(tally) == 0) {
        CHECK(apertis_queue_pump(queue, 0) >= 0);
        story_sleep_ms(5);
    }
    story_sleep_ms(100);
    CHECK_INT(apertis_queue_pump(queue, 0), 0);
    check(tally);
    CHECK_INT(story_drops(tally), 1);
    apertis_stream_free(stream);
    apertis_queue_free(queue);
    story_tally_free(tally);

    tally = story_tally_new();
    CHECK_STATUS(apertis_client_chat_stream(client, request, on_event, tally, &response, &error), APERTIS_ERROR_CANCELLED);
    check(tally);
    CHECK_TEXT(apertis_response_text(response, NULL), tally->part);     /* the part that came */
    CHECK_STATUS(apertis_error_status(error), APERTIS_ERROR_CANCELLED);
    CHECK_INT(apertis_error_is_retryable(error), 0);
    apertis_response_free(response);
    apertis_error_free(error);
    story_tally_free(tally);

    CHECK_INT(story_sent_count(), 3);                           /* a cancelled stream is not tried again */
    apertis_request_free(request);
    apertis_client_free(client);
    return story_end();
}
