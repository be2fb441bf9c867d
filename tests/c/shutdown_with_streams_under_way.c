/* The program ends while everybody is talking: each stream gets its END, each drop runs, and one can begin anew. */
#include "story.h"

#define EACH 5
#define LONG "say=word%20;repeat=1000;deltas=1000;pace_ms=30"

static apertis_client *client;

static void *blocked(void *status) {
    apertis_request *request = story_request("stall=head", "Hello");
    apertis_response *response = NULL;
    apertis_error *error = NULL;
    *(int32_t *)status = apertis_client_chat(client, request, &response, &error);
    CHECK_STATUS(apertis_error_status(error), *(int32_t *)status);
    apertis_error_free(error);
    apertis_response_free(response);
    apertis_request_free(request);
    return NULL;
}

int main(void) {
    static const int32_t deliveries[] = { APERTIS_DELIVER_PULL, APERTIS_DELIVER_PUMP, APERTIS_DELIVER_THREAD };
    apertis_queue *queues[3];
    apertis_stream *streams[3][EACH], *private_stream;
    story_tally *tallies[3][EACH], *private_tally = story_tally_new();
    apertis_request *request;
    apertis_error *error = NULL;
    const apertis_event *event = NULL;
    pthread_t thread;
    int32_t blocked_status = 0;
    int kind, index, ended;

    story_begin();
    client = story_client();
    request = story_request(LONG, "Hello");
    for (kind = 0; kind < 3; kind++) {
        queues[kind] = story_queue(deliveries[kind]);
        for (index = 0; index < EACH; index++) {
            tallies[kind][index] = story_tally_new();
            CHECK_OK(apertis_client_start_on(client, request, queues[kind], story_on_event, tallies[kind][index], story_on_drop, &streams[kind][index], &error), error);
        }
    }
    private_stream = story_start(client, LONG);
    CHECK(pthread_create(&thread, NULL, blocked, &blocked_status) == 0);
    CHECK_STATUS(apertis_stream_next(private_stream, -1, &event), APERTIS_OK);
    story_tally_add(private_tally, event);
    story_await(tallies[2][0], APERTIS_EVENT_TEXT, 1);
    CHECK(apertis_queue_pump(queues[1], 0) >= 0);
    story_sleep_ms(100);

    CHECK_STATUS(apertis_shutdown(10000), APERTIS_OK);
    CHECK_SOON(story_thread_count() <= 2);                      /* this one, and perhaps the blocked one on its way out */
    pthread_join(thread, NULL);
    CHECK_STATUS(blocked_status, APERTIS_ERROR_SHUTDOWN);
    CHECK_SOON(story_stat("in_flight") == 0);
    for (kind = 0; kind < 3; kind++)
        for (index = 0; index < EACH; index++) CHECK_INT(story_drops(tallies[kind][index]), 1);
    for (kind = 1; kind < 3; kind++)                            /* callbacks: all have run */
        for (index = 0; index < EACH; index++) {
            CHECK_INT(tallies[kind][index]->kinds[APERTIS_EVENT_END], 1);
            CHECK_STATUS(tallies[kind][index]->status, APERTIS_ERROR_SHUTDOWN);
            if (tallies[kind][index]->kinds[APERTIS_EVENT_STARTED]) CHECK_INT(tallies[kind][index]->finish, APERTIS_FINISH_INTERRUPTED);
        }
    /* What is pulled can be pulled still; its user data was dropped and is not handed out again. */
    for (ended = 0; ended < EACH;) {
        CHECK_STATUS(apertis_queue_next(queues[0], 0, &event), APERTIS_OK);
        CHECK(apertis_event_user_data(event) == NULL);
        if (apertis_event_kind_of(event) != APERTIS_EVENT_END) continue;
        CHECK_STATUS(apertis_error_status(apertis_event_error(event)), APERTIS_ERROR_SHUTDOWN);
        ended++;
    }
    CHECK_STATUS(apertis_queue_next(queues[0], -1, &event), APERTIS_ERROR_SHUTDOWN);
    CHECK(event == NULL);
    CHECK_STATUS(story_pull(private_stream, private_tally), APERTIS_ERROR_SHUTDOWN);
    CHECK_TEXT(private_tally->part, private_tally->text);

    /* The old client is of the past; a new one uses the old queues. */
    CHECK_STATUS(apertis_client_start(client, request, &private_stream, NULL), APERTIS_ERROR_SHUTDOWN);
    CHECK_STATUS(apertis_client_chat(client, request, NULL, NULL), APERTIS_ERROR_SHUTDOWN);
    apertis_client_free(client);
    client = story_client();
    apertis_request_free(request);
    request = story_request("say=anew", "Hello");
    for (kind = 0; kind < 3; kind++) {
        story_tally *tally = story_tally_new();
        CHECK_OK(apertis_client_start_on(client, request, queues[kind], story_on_event, tally, story_on_drop, NULL, &error), error);
        while (tally->kinds[APERTIS_EVENT_END] == 0) {
            if (kind == 0) {
                CHECK_STATUS(apertis_queue_next(queues[0], -1, &event), APERTIS_OK);
                CHECK(apertis_event_user_data(event) == tally);
                story_tally_add(tally, event);
            } else if (kind == 1) {
                CHECK(apertis_queue_pump(queues[1], 0) >= 0);
                story_sleep_ms(2);
            } else {
                story_await(tally, APERTIS_EVENT_END, 1);
            }
        }
        CHECK_TEXT(tally->text, "anew");
        apertis_queue_free(queues[kind]);
        CHECK_SOON(story_drops(tally) == 1);
        story_tally_free(tally);
        for (index = 0; index < EACH; index++) {
            apertis_stream_free(streams[kind][index]);
            story_tally_free(tallies[kind][index]);
        }
    }
    story_tally_free(private_tally);
    apertis_request_free(request);
    apertis_client_free(client);
    CHECK_STATUS(apertis_shutdown(10000), APERTIS_OK);
    return story_end();
}
