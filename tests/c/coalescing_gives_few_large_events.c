/* A reader comes back after a while: what has arrived meanwhile waits as one event, not as five thousand. */
#include "story.h"

/* Until the gateway has sent the answer to the n-th request, and the library has come to rest. */
static void let_it_arrive(size_t requests) {
    clock_t before;
    CHECK_SOON(story_sent_count() == requests && story_stat("in_flight") == 0);
    do {
        before = clock();
        story_sleep_ms(300);
    } while (clock() - before > CLOCKS_PER_SEC / 200);
}

int main(void) {
    apertis_client *client;
    apertis_stream *stream;
    apertis_queue *queue;
    apertis_request *request;
    apertis_error *error = NULL;
    story_tally *tally;

    story_begin();
    client = story_client();

    tally = story_tally_new();
    stream = story_start(client, "say=0123456789;repeat=5000;deltas=5000");
    let_it_arrive(1);
    CHECK_STATUS(story_pull(stream, tally), APERTIS_OK);
    CHECK_TEXT(tally->text, story_repeat("0123456789", 5000));
    CHECK_INT(tally->kinds[APERTIS_EVENT_TEXT], 1);
    apertis_stream_free(stream);
    story_tally_free(tally);

    /* Deltas of different kinds keep their order: thoughts first, then words. */
    tally = story_tally_new();
    stream = story_start(client, "reasoning=let%20me%20see;say=it%20is%20so;deltas=3");
    let_it_arrive(2);
    CHECK_STATUS(story_pull(stream, tally), APERTIS_OK);
    CHECK_INT(tally->kinds[APERTIS_EVENT_REASONING], 1);
    CHECK_INT(tally->kinds[APERTIS_EVENT_TEXT], 1);
    CHECK_TEXT(tally->reasoning, "let me see");
    CHECK_TEXT(tally->text, "it is so");
    apertis_stream_free(stream);
    story_tally_free(tally);

    /* The same before a pump. */
    tally = story_tally_new();
    queue = story_queue(APERTIS_DELIVER_PUMP);
    request = story_request("say=0123456789;repeat=5000;deltas=5000", "Hello");
    CHECK_OK(apertis_client_start_on(client, request, queue, story_on_event, tally, story_on_drop, &stream, &error), error);
    let_it_arrive(3);
    CHECK_INT(apertis_queue_pump(queue, 0), 3);
    CHECK_INT(tally->kinds[APERTIS_EVENT_TEXT], 1);
    CHECK_TEXT(tally->text, story_repeat("0123456789", 5000));
    CHECK_TEXT(tally->part, tally->text);
    apertis_stream_free(stream);
    apertis_request_free(request);
    apertis_queue_free(queue);
    story_tally_free(tally);
    apertis_client_free(client);
    return story_end();
}
