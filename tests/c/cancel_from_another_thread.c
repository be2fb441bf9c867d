/* While one thread waits for words, another cancels: the wait ends at once, and the gateway sees the line drop. */
#include "story.h"

static void *cancel_soon(void *stream) {
    int times;
    story_sleep_ms(300);
    for (times = 0; times < 5; times++) apertis_stream_cancel((apertis_stream *)stream);
    return NULL;
}

int main(void) {
    apertis_client *client;
    apertis_stream *stream;
    apertis_response *response = NULL;
    apertis_error *error = NULL;
    const apertis_event *event = NULL;
    story_tally *tally;
    pthread_t canceller;
    int64_t began;
    long hung_up;

    story_begin();
    client = story_client();
    hung_up = story_stat("cancelled");

    /* It waits in next, between two words. */
    tally = story_tally_new();
    began = story_ms();
    stream = story_start(client, "say=word%20;repeat=1000;deltas=1000;pace_ms=50");
    pthread_create(&canceller, NULL, cancel_soon, stream);
    CHECK_STATUS(story_pull(stream, tally), APERTIS_ERROR_CANCELLED);
    CHECK(story_ms() - began >= 290 && story_ms() - began < 3000);
    CHECK_INT(tally->finish, APERTIS_FINISH_INTERRUPTED);
    CHECK(tally->kinds[APERTIS_EVENT_TEXT] >= 1);
    CHECK(strlen(tally->part) > 0 && strlen(tally->part) < 1000);
    CHECK(strncmp(tally->part, tally->text, strlen(tally->text)) == 0);
    pthread_join(canceller, NULL);
    apertis_stream_cancel(stream);                              /* after its end: nothing */
    CHECK_STATUS(apertis_stream_next(stream, 0, &event), APERTIS_DONE);
    apertis_stream_free(stream);
    CHECK_SOON(story_stat("cancelled") == hung_up + 1);
    story_tally_free(tally);

    /* It waits for the head of the answer. */
    tally = story_tally_new();
    began = story_ms();
    stream = story_start(client, "stall=head");
    pthread_create(&canceller, NULL, cancel_soon, stream);
    CHECK_STATUS(story_pull(stream, tally), APERTIS_ERROR_CANCELLED);
    CHECK(story_ms() - began < 3000);
    CHECK_INT(tally->kinds[APERTIS_EVENT_STARTED], 0);
    CHECK_TEXT(tally->part, "");
    pthread_join(canceller, NULL);
    apertis_stream_free(stream);
    story_tally_free(tally);
    CHECK_SOON(story_stat("in_flight") == 0);

    /* It waits for the whole answer; the part that came is handed over. */
    stream = story_start(client, "say=word%20;repeat=1000;deltas=1000;pace_ms=50");
    pthread_create(&canceller, NULL, cancel_soon, stream);
    CHECK_STATUS(apertis_stream_wait(stream, -1, &response, &error), APERTIS_ERROR_CANCELLED);
    CHECK_STATUS(apertis_error_status(error), APERTIS_ERROR_CANCELLED);
    CHECK(response != NULL);
    CHECK_INT(apertis_response_finish(response), APERTIS_FINISH_INTERRUPTED);
    CHECK(strncmp(apertis_response_text(response, NULL), "word ", 5) == 0);
    pthread_join(canceller, NULL);
    apertis_response_free(response);
    apertis_error_free(error);
    apertis_stream_free(stream);

    CHECK_SOON(story_stat("in_flight") == 0);

    /* Freeing one that is under way cancels it too. */
    hung_up = story_stat("cancelled");
    stream = story_start(client, "say=word%20;repeat=1000;deltas=1000;pace_ms=50");
    CHECK_STATUS(apertis_stream_next(stream, -1, &event), APERTIS_OK);
    apertis_stream_free(stream);
    CHECK_SOON(story_stat("cancelled") == hung_up + 1);
    apertis_client_free(client);
    return story_end();
}
